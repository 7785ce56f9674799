"""Network modules, which take plain numbers; their settings objects are in network_config.py."""
