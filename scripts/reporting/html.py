"""report.md as one page that holds its figures, with a table of contents, fit to be printed."""

import base64
import re

from common.options import BadInput

STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 sans-serif; }
img { display: block; max-width: 100%; margin: 1rem auto 0.3rem; }
table { border-collapse: collapse; font-size: 0.85rem; margin: 1rem 0; display: block;
        overflow-x: auto; }
th, td { border-bottom: 1px solid #ccc; padding: 0.2rem 0.6rem; text-align: left; }
pre { background: #f4f4f4; padding: 0.6rem; overflow-x: auto; font-size: 0.85rem; }
nav { background: #fff8e0; padding: 0.5rem 1rem; }
h2 { border-bottom: 2px solid #0072b2; margin-top: 3rem; }
@media print {
  body { max-width: none; margin: 0; font-size: 10pt; }
  h2 { break-before: page; }
  h2, h3 { break-after: avoid; }
  img { max-height: 12cm; break-inside: avoid; }
  table { display: table; font-size: 7.5pt; }
  tr, p { break-inside: avoid; }
  pre { white-space: pre-wrap; }
}
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def page(text, folder):
    """The report's Markdown as an HTML page. folder: where its pictures lie.

    Raises BadInput where the package Markdown is not installed, or a picture is missing.
    """
    try:
        import markdown
    except ImportError:
        raise BadInput("--html needs the package markdown: pip install markdown") from None

    def embedded(match):
        path = folder / match[1]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror}") from None
        return f'src="data:image/{match[2]};base64,{base64.b64encode(content).decode()}"'

    heading, rest = text.split("\n", 1)
    converter = markdown.Markdown(
        extensions=["tables", "fenced_code", "toc"], extension_configs={"toc": {"toc_depth": "2-3"}}
    )
    body = converter.convert(rest)
    title = heading.lstrip("# ")
    body = f"<h1>{title}</h1>\n<nav>{converter.toc}</nav>\n{body}"
    body = re.sub(r'src="([^"]+\.(png|gif))"', embedded, body)
    return PAGE.format(title=title, style=STYLE, body=body)
