"""DOC: what an API says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from conformance.checks.described import Body, Description, path_below
from conformance.checks.refusals import brief, decisive, is_json
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import expect, fail

MODEL_FIELDS: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "aliases": (list,),
    "pinned": (bool,),
    "context_window": (int,),
    "max_output_tokens": (int,),
    "prices": (dict,),
    "capabilities": (list,),
    "released_at": (str,),
    "deprecated_at": (str, type(None)),
    "sunset_at": (str, type(None)),
    "successor": (str, type(None)),
}
PRICE_FIELDS = ("currency", "input_per_million", "output_per_million", "price_version")


@check("DOC-01")
def test_the_description_served_is_the_one_that_runs(
    self_description: Probed, exchanges: tuple[Reading, ...], target: Mapping[str, Any]
) -> str:
    """OpenAPI 3.x, of the version that the capabilities name, with every operation that answered here."""
    reading = _described(self_description)
    document = reading.body
    version = _at(self_description["public:capabilities"].body, "contract_version")
    info = _at(document, "info", "version")
    expect(
        info == version,
        expected=f"version {version!r}, as in capabilities",
        seen=info,
        at=reading,
        where="/info/version",
    )
    description = Description(document)
    for answered in exchanges:
        if not answered.ok or answered.exchange.operation == "raw":
            continue
        method, path = (
            answered.exchange.sent.method,
            path_below(target, answered.exchange.sent.url),
        )
        expect(
            path is not None and description.operation(method, path) is not None,
            expected=f"{method} {path} described",
            seen="no such operation in the served description",
            at=answered,
        )
    return f"OpenAPI {document['openapi']}, version {info}, {len(description.operations)} operations"


@check("DOC-03")
def test_every_operation_has_a_summary_and_valid_examples(self_description: Probed) -> str:
    """A summary, an example for each request and response body, and each JSON example matches its schema."""
    reading = _described(self_description)
    description = Description(reading.body)
    operations = description.operations
    examples = 0
    for operation in operations:
        summary = operation.spec.get("summary")
        expect(
            isinstance(summary, str) and summary.strip(),
            expected=f"a summary of {operation.name}",
            seen=summary,
            at=reading,
            where=f"{operation.pointer}/summary",
        )
        try:
            bodies = list(description.bodies(operation))
        except ValueError as error:
            fail(expected="references that resolve", seen=str(error), at=reading, where=operation.pointer)
        for of in dict.fromkeys(b.of for b in bodies):
            expect(
                any(b.examples for b in bodies if b.of == of),
                expected=f"an example of the {of} of {operation.name}",
                seen="none",
                at=reading,
                where=operation.pointer,
            )
        for body in bodies:
            try:
                examples += _expect_valid(description, body, operation.name, reading)
            except ValueError as error:
                fail(expected="usable schemas", seen=str(error), at=reading, where=body.schema_pointer or "")
    expect(operations, expected="operations", seen="none", at=reading, where="/paths")
    return f"{len(operations)} operations, {examples} examples valid"


@check("DOC-07")
def test_the_model_list_tells_what_a_caller_must_know(self_description: Probed) -> str:
    """Each model has id, aliases, pinned, window, output limit, prices, capabilities and dates."""
    reading = decisive(self_description["models"])
    expect(reading.ok, expected="a 2xx answer", seen=brief(reading), at=reading)
    models = _at(reading.body, "data")
    expect(
        isinstance(models, list) and models,
        expected="a list of models",
        seen=models,
        at=reading,
        where="/data",
    )
    for index, model in enumerate(models):
        _expect_model(model, f"/data/{index}", reading)
    ids = [m["id"] for m in models]
    expect(len(ids) == len(set(ids)), expected="unique ids", seen=ids, at=reading, where="/data")
    single = self_description.get("model")
    if single is not None and single.ok:
        expect(isinstance(single.body, dict), expected="a model", seen=single.body, at=single)
        expect(
            single.body.items() >= models[0].items(),
            expected="every field of the model as in the list",
            seen=single.body,
            at=single,
        )
    return f"{len(models)} models"


@check("DOC-09")
def test_the_confidence_is_explained(self_description: Probed) -> str:
    """The capabilities name the method of the confidence and say whether it is calibrated."""
    reading = self_description["public:capabilities"]
    declared = _at(reading.body, "capabilities", "confidence")
    for field, kind in (("method", str), ("calibrated", bool)):
        value = declared.get(field) if isinstance(declared, dict) else None
        expect(
            isinstance(value, kind) and value != "",
            expected=f"a {kind.__name__}",
            seen=value,
            at=reading,
            where=f"/capabilities/confidence/{field}",
        )
    return f"{declared}"


def _described(self_description: Probed) -> Reading:
    reading = decisive(self_description["public:description"])
    openapi = _at(reading.body, "openapi")
    expect(
        reading.ok and isinstance(openapi, str) and openapi.startswith("3."),
        expected="an OpenAPI 3.x document",
        seen=f"{brief(reading)}, openapi: {openapi!r}",
        at=reading,
        where="/openapi",
    )
    return reading


def _expect_valid(description: Description, body: Body, operation: str, reading: Reading) -> int:
    """How many examples of a JSON body were validated."""
    if body.schema_pointer is None or not is_json(body.media_type.split(";", 1)[0].strip().lower()):
        return 0
    validated = 0
    for pointer, value in body.examples:
        if value is None:  # given only in serialized form or by URL
            continue
        errors = description.errors(body.schema_pointer, value)
        expect(
            not errors,
            expected=f"an example that matches the schema of the {body.of} of {operation}",
            seen="; ".join(f"{place or 'the whole'}: {why}" for place, why in errors[:3]),
            at=reading,
            where=pointer,
        )
        validated += 1
    return validated


def _expect_model(model: Any, pointer: str, reading: Reading) -> None:
    expect(isinstance(model, dict), expected="an object", seen=model, at=reading, where=pointer)
    for field, kinds in MODEL_FIELDS.items():
        value = model.get(field)
        right = (
            field in model and isinstance(value, kinds) and not (kinds == (int,) and isinstance(value, bool))
        )
        expect(
            right and value != "",
            expected=" or ".join("null" if k is type(None) else k.__name__ for k in kinds),
            seen=value if field in model else "no such member",
            at=reading,
            where=f"{pointer}/{field}",
        )
    for field in ("context_window", "max_output_tokens"):
        expect(model[field] > 0, expected="> 0", seen=model[field], at=reading, where=f"{pointer}/{field}")
    for field in PRICE_FIELDS:
        value = model["prices"].get(field)
        expect(
            _is_amount(value) if field.endswith("per_million") else isinstance(value, str) and value,
            expected="a decimal amount >= 0" if field.endswith("per_million") else "a text",
            seen=value,
            at=reading,
            where=f"{pointer}/prices/{field}",
        )


def _is_amount(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return Decimal(str(value)).is_finite() and Decimal(str(value)) >= 0
    except InvalidOperation:
        return False


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
