"""A piece into a .docx file that people read, without a label yet."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from aigc.labels.package import packed
from aigc.labels.piece import Piece
from aigc.labels.prose import Block, Run, blocks_of
from aigc.pages.page import plain

__all__ = ["draw_docx"]

_WORDS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_OFFICE = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_A4 = (
    '<w:sectPr><w:pgSz w:w="11906" w:h="16838"/><w:pgMar w:top="1440" w:right="1440" w:bottom="1440" w:left="1440" w:header="720" '
    'w:footer="720" w:gutter="0"/></w:sectPr>'
)


def draw_docx(piece: Piece) -> bytes:
    """A .docx of five parts, the same bytes for the same piece."""
    language = "zh-CN" if piece.language == "zh" else "en-US"
    title = [_paragraph([Run(piece.title)], "Title")] if piece.headed else []
    text = [_block(block) for block in blocks_of(piece.text)]
    credits = [_paragraph([Run(f"{name}{piece.colon}{value}")], "Credits") for name, value in piece.credits]
    document = f'<w:document xmlns:w="{_WORDS}"><w:body>{"".join([*title, *text, *credits])}{_A4}</w:body></w:document>'
    core = (
        '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<dc:title>{escape(plain(piece.title))}</dc:title><dc:language>{language}</dc:language></cp:coreProperties>"
    )
    kinds = [("/word/document.xml", "document.main"), ("/word/styles.xml", "styles")]
    overrides = "".join(f'<Override PartName="{name}" ContentType="{_OFFICE}.{kind}+xml"/>' for name, kind in kinds)
    types = (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f"{overrides}"
        '<Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>'
    )
    parts = {
        "[Content_Types].xml": types,
        "_rels/.rels": _relations(
            (f"{_RELATION}/officeDocument", "word/document.xml"),
            (f"{_PACKAGE}/relationships/metadata/core-properties", "docProps/core.xml"),
        ),
        "docProps/core.xml": core,
        "word/_rels/document.xml.rels": _relations((f"{_RELATION}/styles", "styles.xml")),
        "word/document.xml": document,
        "word/styles.xml": _styles(language),
    }
    return packed({name: (_XML + part).encode() for name, part in parts.items()})


def _relations(*targets: tuple[str, str]) -> str:
    inner = (f'<Relationship Id="rId{n}" Type="{kind}" Target="{target}"/>' for n, (kind, target) in enumerate(targets, start=1))
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{"".join(inner)}</Relationships>'


def _block(block: Block) -> str:
    if block.kind == "heading":
        return _paragraph(block.runs, f"Heading{min(block.level, 3)}")
    if block.kind == "item":
        indent = 360 * (block.level + 1)
        marker = [Run(f"{block.marker} ")] if block.marker else []
        return _paragraph([*marker, *block.runs], more=f'<w:ind w:left="{indent}" w:hanging="240"/>')
    if block.kind == "rule":
        return _paragraph([Run("* * *")], more='<w:jc w:val="center"/>')
    return _paragraph(block.runs, {"quote": "Quote", "code": "Code"}.get(block.kind, ""))


def _paragraph(runs: Sequence[Run], style: str = "", more: str = "") -> str:
    inner = (f'<w:pStyle w:val="{style}"/>' if style else "") + more
    properties = f"<w:pPr>{inner}</w:pPr>" if inner else ""
    return f"<w:p>{properties}{''.join(map(_docx_run, runs))}</w:p>"


def _docx_run(run: Run) -> str:
    marks = ("<w:b/>" if run.bold else "") + ("<w:i/>" if run.italic else "")
    properties = f"<w:rPr>{marks}</w:rPr>" if marks else ""
    pieces = (f'<w:t xml:space="preserve">{escape(plain(line))}</w:t>' for line in run.text.split("\n"))
    return f"<w:r>{properties}{'<w:br/>'.join(pieces)}</w:r>"


def _styles(language: str) -> str:
    latin = "en-US" if language == "zh-CN" else language
    text = '<w:rFonts w:ascii="Georgia" w:hAnsi="Georgia" w:eastAsia="SimSun" w:cs="Times New Roman"/><w:sz w:val="22"/>'
    title = '<w:rFonts w:ascii="Arial" w:hAnsi="Arial" w:eastAsia="SimHei" w:cs="Arial"/><w:b/>'
    sizes = {"Heading1": 30, "Heading2": 26, "Heading3": 24}
    headings = (
        _style(
            name,
            f"heading {level}",
            f'<w:keepNext/><w:spacing w:before="240"/><w:outlineLvl w:val="{level - 1}"/>',
            f'{title}<w:sz w:val="{size}"/>',
        )
        for level, (name, size) in enumerate(sizes.items(), start=1)
    )
    code = '<w:rFonts w:ascii="Consolas" w:hAnsi="Consolas"/><w:sz w:val="20"/>'
    return (
        f'<w:styles xmlns:w="{_WORDS}"><w:docDefaults>'
        f'<w:rPrDefault><w:rPr>{text}<w:lang w:val="{latin}" w:eastAsia="zh-CN"/></w:rPr></w:rPrDefault>'
        '<w:pPrDefault><w:pPr><w:spacing w:after="160" w:line="324" w:lineRule="auto"/></w:pPr></w:pPrDefault></w:docDefaults>'
        '<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style>'
        + _style("Title", "Title", '<w:keepNext/><w:spacing w:after="240"/>', f'{title}<w:sz w:val="40"/>')
        + "".join(headings)
        + _style("Quote", "Quote", '<w:ind w:left="480"/>', "<w:i/>")
        + _style("Code", "Code", '<w:spacing w:line="240" w:lineRule="auto"/>', code)
        + _style("Credits", "Credits", '<w:spacing w:after="40"/>', '<w:color w:val="595959"/><w:sz w:val="18"/>')
        + "</w:styles>"
    )


def _style(name: str, shown: str, paragraph: str, run: str) -> str:
    return (
        f'<w:style w:type="paragraph" w:styleId="{name}"><w:name w:val="{shown}"/><w:basedOn w:val="Normal"/>'
        f'<w:next w:val="Normal"/><w:pPr>{paragraph}</w:pPr><w:rPr>{run}</w:rPr></w:style>'
    )
