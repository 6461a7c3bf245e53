"""Names of licences into what they ask for; several into the strictest; and what users are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.licences import HUB, STEMS, UNKNOWN, Kind, Licence, cautions, licence_of, strictest

NAMES = {  # as people write them: the hub's name or ours, and the strictest kind
    "MIT": ("mit", "permissive"),
    "MIT License": ("mit", "permissive"),
    "Apache 2.0": ("apache-2.0", "permissive"),
    "Apache License, Version 2.0": ("apache-2.0", "permissive"),
    "https://www.apache.org/licenses/LICENSE-2.0": ("apache-2.0", "permissive"),
    "https://opensource.org/licenses/MIT": ("mit", "permissive"),
    "BSD 3-Clause License": ("bsd-3-clause", "permissive"),
    "CC0": ("cc0-1.0", "permissive"),
    "CC0 1.0 Universal": ("cc0-1.0", "permissive"),
    "Public Domain": ("public-domain", "permissive"),
    "公有领域": ("public-domain", "permissive"),
    "https://creativecommons.org/publicdomain/zero/1.0/": ("cc0-1.0", "permissive"),
    "CC BY 4.0": ("cc-by-4.0", "attribution"),
    "ODC-By 1.0": ("odc-by", "attribution"),
    "CC-BY-SA-3.0": ("cc-by-sa-3.0", "share-alike"),
    "知识共享署名-相同方式共享 4.0": ("cc-by-sa-4.0", "share-alike"),
    "GPLv3": ("gpl-3.0", "share-alike"),
    "GPL-2.0-or-later": ("gpl-2.0", "share-alike"),
    "GNU General Public License v3.0": ("gpl-3.0", "share-alike"),
    "GPL-2.0-only WITH Classpath-exception-2.0": ("gpl-2.0", "share-alike"),
    "ODbL": ("odbl", "share-alike"),
    "CreativeML OpenRAIL-M": ("creativeml-openrail-m", "share-alike"),
    "Llama 3.1 Community License Agreement": ("llama3.1", "share-alike"),
    "llama2": ("llama2", "share-alike"),
    "Gemma Terms of Use": ("gemma", "share-alike"),
    "CC BY-NC 4.0": ("cc-by-nc-4.0", "non-commercial"),
    "Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International License": ("cc-by-nc-sa-4.0", "non-commercial"),
    "https://creativecommons.org/licenses/by-nc/3.0/de/deed.en": ("cc-by-nc-3.0", "non-commercial"),
    "知识共享署名-非商业性使用 4.0 国际": ("cc-by-nc-4.0", "non-commercial"),
    "not for commercial use": ("not-for-commercial-use", "non-commercial"),
    "cc-by-nd-4.0": ("cc-by-nd-4.0", "no-derivatives"),
    "CC BY-NC-ND 4.0": ("cc-by-nc-nd-4.0", "no-derivatives"),
    "All rights reserved": ("all-rights-reserved", "no-derivatives"),
    "research only": ("research-only", "research-only"),
    "academic use only": ("academic-use-only", "research-only"),
    "仅供研究": ("仅供研究", "research-only"),
    "fair-noncommercial-research-license": ("fair-noncommercial-research", "research-only"),
    "unknown": ("unknown", "unknown"),
    "": ("unknown", "unknown"),
    "other": ("unknown", "unknown"),
    "cc": ("cc", "unknown"),
    "LLaMA": ("llama", "unknown"),  # which one?
    "BSL-1.1": ("bsl-1.1", "unknown"),  # Business Source, not Boost
    "free for research and commercial use": ("free-for-research-and-commercial-use", "unknown"),
}


@pytest.mark.parametrize("written", NAMES)
def test_names(written: str) -> None:
    found = licence_of(written)
    assert (found.name, found.kind) == NAMES[written]


@pytest.mark.parametrize(
    ("written", "commercial"),
    [
        ("MIT", True),
        ("CC-BY-SA-4.0", True),
        ("cc-by-nd-4.0", True),
        ("CC BY-NC-ND 4.0", False),
        ("CC-NC", False),
        ("research only", False),
        ("proprietary", False),
        ("weird thing", None),
        (None, None),
        ("MIT OR CC-BY-NC-4.0", True),  # one may choose
        ("MIT AND CC-BY-NC-4.0", False),  # both hold
        ("MIT, CC-BY-NC-4.0", False),
        ("(MIT OR Apache-2.0) AND CC-BY-NC-4.0", False),
        ("MIT AND something of our own", None),
    ],
)
def test_commercial_use(written: str | None, commercial: bool | None) -> None:
    assert licence_of(written).commercial is commercial


def test_of_a_choice_the_mildest_is_taken() -> None:
    assert licence_of("GPL-2.0-or-later or CC-BY-SA-3.0").kind is Kind.SHARE_ALIKE
    assert licence_of("CC-BY-NC-4.0 OR MIT").name == "mit"


@pytest.mark.parametrize("name", sorted(HUB))
def test_the_hubs_own_names_stay_as_they_are(name: str) -> None:
    found = licence_of(name)
    assert (found.hub, Kind.UNKNOWN in found.kinds) == ((name, None), False)


@given(st.text() | st.sampled_from(sorted(NAMES)).map(str.upper))
def test_any_text_is_some_licence_in_one_printable_line(text: str) -> None:
    found = licence_of(text)
    assert found.kinds and found.name.isprintable() and len(found.name) <= 60
    assert found.kinds == tuple(sorted(found.kinds, key=list(Kind).index))


@given(st.text("abcdefghij -."))
def test_what_is_not_in_a_table_is_never_called_free(text: str) -> None:
    found = licence_of(text)
    assert found.commercial is not True or any(found.name.startswith(stem) for stem in STEMS)


NAMED = st.lists(st.sampled_from([*NAMES, None]), min_size=1).map(lambda names: [licence_of(name) for name in names])


@given(NAMED, NAMED)
def test_the_strictest_asks_for_all_that_any_asks_for(some: list[Licence], more: list[Licence]) -> None:
    one, both = strictest(some), strictest([*some, *more])
    for found in (*some, one):
        assert {*found.kinds} - {Kind.PERMISSIVE} <= {*both.kinds}
    if any(found.commercial is False for found in some):
        assert both.commercial is False
    if any(Kind.UNKNOWN in found.kinds for found in some):
        assert both.hub == ("unknown", None)
    assert strictest(reversed([*some, *more])) == both


@pytest.mark.parametrize(
    ("several", "hub"),
    [
        (["MIT", "CC0"], ("mit", None)),
        (["CC0"], ("cc0-1.0", None)),
        (["MIT", "CC BY 4.0", "CC BY-NC 4.0"], ("cc-by-nc-4.0", None)),
        (["MIT", "Apache 2.0"], ("other", "apache-2.0-and-mit")),
        (["CC-BY-SA-4.0", "GPL-3.0"], ("other", "cc-by-sa-4.0-and-gpl-3.0")),
        (["CC BY-NC 4.0", "CC-BY-SA-4.0"], ("other", "cc-by-nc-4.0-and-cc-by-sa-4.0")),  # neither asks for what the other does
        (["research only"], ("other", "research-only")),
        (["MIT", None], ("unknown", None)),
    ],
)
def test_what_several_make(several: list[str | None], hub: tuple[str, str | None]) -> None:
    assert strictest(map(licence_of, several)).hub == hub


@given(NAMED)
def test_what_a_card_says_of_several_is_read_again(several: list[Licence]) -> None:
    one = strictest(several)
    again = licence_of(one.hub[1] or one.hub[0])
    assert (again.commercial is False) <= (one.commercial is False)  # forbids no more
    assert (again.commercial is True) <= (one.commercial is True)  # allows no more


def test_of_nothing_the_strictest_is_unknown() -> None:
    assert strictest([]) is UNKNOWN


def test_terms_that_no_kind_tells_are_noted() -> None:
    assert "limits on use" in strictest([licence_of("MIT"), licence_of("llama3.1")]).note


def test_cautions_count_documents_and_name_licences() -> None:
    documents = {licence_of("research-only"): 1000, licence_of("cc-by-nc-4.0"): 20, licence_of("MIT"): 180, UNKNOWN: 3}
    assert cautions(documents, licence_of("cc-by-nd-4.0")) == [
        "licences of the data forbid commercial use: 1,020 of 1,203 training documents (research-only: 1,000, cc-by-nc-4.0: 20)",
        "the base model's licence (cc-by-nd-4.0) forbids derivatives, and this model is one",
        "licences of the data are not known: 3 of 1,203 training documents (unknown: 3)",
    ]
    assert cautions({licence_of("MIT"): 5}, licence_of("research only")) == [
        "the base model's licence (research-only) forbids commercial use"
    ]
    assert cautions({licence_of("cc-by-nd-4.0"): 1, licence_of("MIT"): 1}, UNKNOWN) == [
        "licences of the data forbid derivatives, which a model may be: 1 of 2 training documents (cc-by-nd-4.0: 1)",
        "the base model's licence is not known",
    ]


def test_free_licences_need_no_caution() -> None:
    assert cautions({licence_of("MIT"): 2, licence_of("CC-BY-SA-4.0"): 1}, licence_of("apache-2.0")) == []
