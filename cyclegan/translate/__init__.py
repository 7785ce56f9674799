"""Translation of image files, folders, animations and videos."""
