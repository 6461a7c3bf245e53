"""A label is written, read, replaced and taken off again in .docx files, ours and others'; their other parts stay as they are."""

import io
import json
import zipfile
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from labelled import label

from aigc.errors import AigcError
from aigc.labels import docx
from aigc.labels.document import draw_docx
from aigc.labels.label import Label
from aigc.labels.package import elements, packed, unpacked
from aigc.labels.piece import Piece

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
LABELS = st.builds(label, st.integers(0, 99), place=st.sampled_from(["start", "end"]), text=st.just({"zh": '<AI>&生成"'}))


def _made(text: str = "第一段。\n\nSecond & <last>.", title: str = "题目") -> bytes:
    return draw_docx(Piece("1", title, True, text, "zh", (("许可", "CC0"),)))


def _of_others() -> bytes:
    """As other programs write them: other prefixes, comments, properties of their own, a self-closing element."""
    parts = unpacked(_made())
    parts["word/document.xml"] = (
        b'<?xml version="1.0"?><x:document xmlns:x="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
        b'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" xmlns:w14="urn:w14" mc:Ignorable="w14">'
        b'<!-- <w:body> --><x:body><x:p w14:paraId="1>2"><x:bookmarkStart x:id="7" x:name="a"/><x:bookmarkEnd x:id="7"/>'
        b"<x:r><x:t>Hi</x:t><x:tab/></x:r></x:p>"
        b"<x:p/><x:sectPr/></x:body></x:document>"
    )
    parts["docProps/custom.xml"] = (
        b'<op:Properties xmlns:op="http://schemas.openxmlformats.org/officeDocument/2006/custom-properties" '
        b'xmlns:v="http://schemas.openxmlformats.org/officeDocument/2006/docPropsVTypes">'
        b'<op:property fmtid="{x}" pid="5" name="Mine">'
        b"<v:i4>1</v:i4></op:property></op:Properties>"
    )
    return packed(parts)


def _properties(data: bytes) -> dict[str, str]:
    root = ElementTree.fromstring(unpacked(data)["docProps/custom.xml"])
    assert len({one.attrib["pid"] for one in root}) == len(root)
    return {one.attrib["name"]: "".join(one.itertext()) for one in root}


@pytest.mark.parametrize("data", [_made(), _of_others()], ids=["ours", "others"])
@hypothesis_settings(max_examples=15, deadline=None)
@given(first=LABELS, second=LABELS)
def test_round_trip(data: bytes, first: Label, second: Label) -> None:
    written = docx.write(data, first)
    found = docx.read(written)
    assert found is not None and found.faults == () and dict(found.fields) == first.fields
    assert (found.notice, found.place, found.disclosure) == (first.notice, first.place, first.disclosure)
    assert docx.write(written, first) == written and docx.write(written, second) == docx.write(data, second)
    assert json.loads(_properties(written)["AIGC"]) == first.fields
    before, after = unpacked(data), unpacked(docx.strip(written))
    for name in set(before) - {"docProps/custom.xml", "_rels/.rels", "[Content_Types].xml"}:
        assert before[name] == after[name], name
    assert docx.read(docx.strip(written)) is None and docx.strip(data) == data
    assert docx.text_of(written) == docx.text_of(data)


@pytest.mark.parametrize("place", ["start", "end"])
@pytest.mark.parametrize("data", [_made(), _of_others()], ids=["ours", "others"])
def test_the_reader_sees_the_notice_at_its_place(place: str, data: bytes) -> None:
    written = docx.write(data, label(place=place))
    [body] = ElementTree.fromstring(unpacked(written)["word/document.xml"])
    paragraphs = ["".join(one.itertext()) for one in body if one.tag == f"{W}p"]
    assert paragraphs[0 if place == "start" else -1] == label().notice
    assert body[-1].tag == f"{W}sectPr"  # it must be the last
    ids = [one.attrib[f"{W}id"] for one in body.iter(f"{W}bookmarkStart")]
    assert len(set(ids)) == len(ids)


def test_the_properties_of_others_stay() -> None:
    written = docx.write(_of_others(), label())
    assert _properties(written)["Mine"] == "1" and list(_properties(docx.strip(written))) == ["Mine"]
    relations, types = (unpacked(written)[name].decode() for name in ("_rels/.rels", "[Content_Types].xml"))
    assert relations.count("docProps/custom.xml") == types.count("docProps/custom.xml") == 1
    empty = unpacked(_of_others()) | {"docProps/custom.xml": b'<op:Properties xmlns:op="urn:x"/>'}
    assert set(_properties(docx.write(packed(empty), label()))) == {"AIGC", "ai_disclosure"}


@hypothesis_settings(max_examples=40, deadline=None)
@given(text=ANY, title=ANY)
def test_any_text_makes_a_file_of_well_formed_parts(text: str, title: str) -> None:
    data = _made(text, title)
    assert data == _made(text, title)
    for name, part in unpacked(docx.write(data, label())).items():
        ElementTree.fromstring(part)
        assert elements(part, name)[-1].parents == ()


def test_looks_and_line_breaks_are_kept() -> None:
    body = ElementTree.fromstring(
        unpacked(_made("## 小节\n\n一行\n二行 **重点：**后文 *斜*\n\n- 项\n\n> 引\n\n---"))["word/document.xml"]
    )[0]
    styles = [style.attrib[f"{W}val"] for style in body.iter(f"{W}pStyle")]
    assert styles == ["Title", "Heading2", "Quote", "Credits"]
    assert [run.findtext(f"{W}t") for run in body.iter(f"{W}r") if run.find(f"{W}rPr/{W}b") is not None] == ["重点："]
    assert [run.findtext(f"{W}t") for run in body.iter(f"{W}r") if run.find(f"{W}rPr/{W}i") is not None] == ["斜"]
    assert len(list(body.iter(f"{W}br"))) == 1 and "• " in [one.text for one in body.iter(f"{W}t")]


def _zipped(**parts: bytes) -> bytes:
    return packed({"[Content_Types].xml": b"<Types/>", "_rels/.rels": b"<R/>", "word/document.xml": b"<d><body/></d>"} | parts)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no zip", "no .docx"),
        (_made()[:200], "no .docx"),
        (packed({"a": b"b"}), "no word/document.xml"),
        (_zipped(**{"word/document.xml": b"<!DOCTYPE d [<!ENTITY a 'aa'>]><d>&a;</d>"}), "document type"),
        (_zipped(**{"word/document.xml": b"<d><body></d>"}), "no well-formed XML"),
        (_zipped(**{"word/document.xml": b'<?xml version="1.0" encoding="GBK"?><d/>'}), "not UTF-8"),
        (_zipped(**{"word/document.xml": b"<d/>"}), "has no body"),
    ],
)
def test_what_is_no_docx_is_one_clear_line(data: bytes, reason: str) -> None:
    with pytest.raises(AigcError, match=reason) as error:
        docx.write(data, label())
    assert "\n" not in str(error.value)


def test_a_bomb_is_refused_before_it_goes_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aigc.labels.package.MOST", 1 << 20)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" " * (1 << 21))
    with pytest.raises(AigcError, match="unpacks to more than 1 MB"):
        docx.read(stream.getvalue())
