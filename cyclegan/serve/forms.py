"""Handling of mistakes in forms with files: accept them, or refuse them in one sentence with a remedy."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from starlette.datastructures import FormData, UploadFile

from cyclegan.errors import UserError

EXAMPLE = "as in curl -F picture=@photo.jpg"
NAMED_ELSEWHERE = re.compile(  # the parameter filename* (RFC 5987), within the headers of a part
    rb"(?im)(^--[^\r\n]*\r\n(?:[^\r\n]+\r\n)*?content-disposition:[^\r\n]*?;[ \t]*)filename\*[0-9*]*=[^;\r\n]*"
)


class FieldError(UserError):
    """Error for a field that is missing, given twice, or not part of the form."""


def name_files(body: bytes) -> bytes:
    """Give a plain name to files that only have a filename*, which form parsers take for text.

    RFC 7578 forbids filename*, but clients send it for names that are not ASCII. The names are never used.
    """
    return NAMED_ELSEWHERE.sub(rb'\1filename="upload"', body) if b"filename*" in body.lower() else body


def require_fields(form: FormData, known: Sequence[str]) -> None:
    """Refuse fields that are unknown or given more than once. Raises FieldError."""
    for name in form:
        if name not in known:
            likely = get_close_matches(name.lower(), known, n=1)
            hint = f"did you mean {likely[0]}?" if likely else f"the fields are {', '.join(known)}"
            raise FieldError(f"{_short(name)}: there is no such field; {hint}")
        if len(given := form.getlist(name)) > 1:
            raise FieldError(f"{name}: given {len(given)} times; send one for each request")


def is_blank(file: UploadFile) -> bool:
    """Return whether no file was chosen; browsers then send one without name and content."""
    return not file.filename and not file.size


def invalid_field(error: Mapping[str, Any]) -> str:
    """Return the sentence that explains a pydantic error."""
    name, bounds = error["loc"][-1], error.get("ctx", {})
    match error["type"]:
        case "missing":
            return f"{name}: is missing; send it as a file of a form (multipart/form-data), {EXAMPLE}"
        case "value_error":  # text in place of a file
            return f"{name}: is text; send it as a file, with a filename in its part, {EXAMPLE}"
        case "string_too_long":
            return f"{name}: has more than {bounds['max_length']} characters; /api/models lists what can be given"
        case "float_parsing" | "finite_number" | "greater_than_equal" | "less_than_equal":
            return f"{name}: '{_short(str(error['input']))}' is not a number from 0 to 1"
    return f"{name}: {error['msg']}"


def _short(text: str) -> str:
    """Return the part of a client's text that a message repeats: its first printable characters."""
    return "".join(filter(str.isprintable, text))[:40]
