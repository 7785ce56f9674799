"""Tables in Markdown."""

from collections.abc import Mapping, Sequence


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """Format a table whose first row is the head and whose first column holds the names."""
    head, *body = ([cell.replace("|", "\\|").replace("*", "\\*") for cell in row] for row in rows)
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def in_markdown(tables: Mapping[str, Sequence[Sequence[str]]]) -> str:
    """Format tables one below the other, each under its title."""
    return "\n\n".join(f"### {title}\n\n{as_markdown(table)}" for title, table in tables.items())
