"""Who generates is named by a code that has the right form, or not at all; the reader is told in words that say it."""

import json
import uuid

import pytest
from labelled import CODE, label, settings
from pydantic import ValidationError

from aigc.errors import AigcError
from aigc.labels.label import Label, found_in, label_of, written_again
from aigc.schema.labels import NOTICES, code_fault, is_explicit, value_fault

UNIFIED = CODE[4:22]


def test_the_seven_fields_in_their_order() -> None:
    fields = label(reserved_code_1="abc").fields
    assert list(fields.items()) == [
        ("Label", "1"),
        ("ContentProducer", CODE),
        ("ProduceID", fields["ProduceID"]),
        ("ReservedCode1", "abc"),
        ("ContentPropagator", ""),
        ("PropagateID", ""),
        ("ReservedCode2", ""),
    ]
    assert found_in(fields, where="x").faults == ()  # type: ignore[union-attr]


def test_an_id_is_made_of_model_config_seed_and_row_and_of_nothing_else() -> None:
    def made(**values: object) -> str:
        given = {"model": "m", "config": "c", "seed": 1, "id": "1-0", "language": "zh"} | values
        return label_of(settings(), **given).produce_id  # type: ignore[arg-type]

    ids = [
        made(),
        made(model="n"),
        made(config="d"),
        made(seed=2),
        made(id="1-1"),
        made(model="m,c", config=""),
        made(model="", config="m,c"),
    ]
    assert len(set(ids)) == len(ids)
    assert made() == made(language="en", version="2") and uuid.UUID(made()).version == 5


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (CODE, None),
        (CODE[:22] + "00000", None),
        (CODE[:22] + "2A9Z0", None),
        (CODE[:26], "27 digits and capital letters"),
        (CODE.lower(), "27 digits and capital letters"),
        ("01" + CODE[2:], "begins with 00"),
        (CODE[:22] + "30002", "service"),
        (CODE[:21] + "E" + CODE[22:], "check character"),
        ("0011" + "I" * 18 + "00000", "form of a unified social credit code"),
        ("0021" + "X" * 18 + "00000", None),  # of other subjects the form is not known here
    ],
)
def test_provider_codes(code: str, fault: str | None) -> None:
    found = code_fault(code)
    assert found is None if fault is None else fault in str(found)


@pytest.mark.parametrize("place", range(18))
def test_a_slip_in_a_credit_code_is_seen(place: int) -> None:
    for other in "0123456789ABCDEFGHJKLMNPQRTUWXY".replace(UNIFIED[place], ""):
        assert code_fault(f"0011{UNIFIED[:place]}{other}{UNIFIED[place + 1 :]}00000") is not None


def test_a_code_is_put_together_of_what_is_given_and_never_made_up() -> None:
    assert settings(producer=UNIFIED, service="10002").provider == CODE
    assert settings(producer="Some-Name").provider == "Some-Name"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"producer": ""}, "at least 1 character"),
        ({"producer": "人工智能公司"}, "give the provider code"),
        ({"producer": "Some Name"}, "no a space"),
        ({"producer": "a\x7fb"}, "x7f"),
        ({"producer": CODE[:-1]}, "27 digits"),
        ({"producer": CODE[:21] + "E10002"}, "check character"),
        ({"producer": UNIFIED}, "give its `service`"),
        ({"producer": "name", "service": "10002"}, "unified social credit code"),
        ({"producer": UNIFIED, "service": "3"}, "service: expected"),
        ({"reserved_code_1": "a b"}, "no a space"),
        ({"text": {"zh": "人工智能"}}, "生成 or 合成"),
        ({"text": {"zh": "由机器生成"}}, "人工智能 or AI"),
        ({"text": {"en": "Written by nobody"}}, "must have AI"),
        ({"text": {"en": "We said it was generated"}}, "must have AI"),  # the letters of "said" are no AI
        ({"text": {"de": "KI-generiert"}}, "'zh' or 'en'"),
        ({"text": {"zh": "AI生成\n"}}, "one line"),
        ({"text": {"zh": "AI生成" * 40}}, "at most 100"),
        ({"place": "middle"}, "'start' or 'end'"),
        ({"licence": 3}, "valid string"),
    ],
)
def test_what_cannot_be_a_label_is_refused(values: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match="(?s).*" + reason.replace("(", r"\(").replace("`", "`")):
        settings(**values)


def test_the_words_of_the_tool_satisfy_the_chinese_standard_in_both_languages() -> None:
    for language, text in NOTICES.items():
        assert is_explicit(text, language) and is_explicit(text, "zh")
    assert label(text={"en": "AI-generated"}, language="en").notice == "AI-generated"
    assert label(text={"en": "AI-generated"}).notice == NOTICES["zh"]
    assert label(language="fr").notice == NOTICES["en"]


def test_the_disclosure_of_the_eu_is_there_unless_it_is_turned_off() -> None:
    told = label().disclosure
    assert told["ai_generated"] == "true" and told["digital_source_type"].endswith("/trainedAlgorithmicMedia")
    assert "Article 50" in told["law"] and told["provider"] == CODE
    assert label(eu=False).disclosure == {}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"Label": "AIGC", "ContentProducer": "Minimax-Agent-AI", "ProduceID": "1"}, "Label is 'AIGC'"),
        ({**label().fields, "Label": 1}, "Label is no text"),
        ({**label().fields, "ContentProducer": ""}, "ContentProducer is empty"),
        ({**label().fields, "ContentProducer": "Minimax Agent AI"}, "no a space"),
        ({**label().fields, "ContentProducer": CODE[:21] + "E10002"}, "check character"),
        ({**label().fields, "Extra": ""}, "Extra is no field"),
        (dict(reversed(label().fields.items())), "order"),
        ({k: v for k, v in label().fields.items() if k != "ReservedCode2"}, "ReservedCode2 is missing"),
        ({"AIGC": label().fields}, "AIGC within AIGC"),
        ("no JSON", "no JSON object"),
        (json.dumps(json.dumps(label().fields)), None),
    ],
)
def test_labels_of_others_are_read_with_what_is_wrong_with_them(value: object, fault: str | None) -> None:
    found = found_in(value, where="here")
    assert found is not None
    assert not found.faults if fault is None else any(fault in one for one in found.faults), found.faults


def test_a_label_is_carried_over_only_where_it_is_right() -> None:
    mine = label(place="end", language="en")
    found = found_in(mine.fields, mine.companion, where="row")
    assert found is not None and written_again(found, "x") == mine
    assert value_fault("!~") is None
    for fields, reason in (({**mine.fields, "Label": "2"}, "may be generated"), ({"Label": "1"}, "is missing"), ({}, "Label")):
        with pytest.raises(AigcError, match=reason):
            written_again(found_in(fields, where="row"), "x")  # type: ignore[arg-type]


def test_a_label_in_code_is_checked_like_one_of_a_file() -> None:
    from aigc.labels import rows

    with pytest.raises(AigcError, match="ContentProducer is empty"):
        rows.write({}, Label(producer="", produce_id="1", notice="AI生成"))
