"""M text to syntax tree: every form by hand, every genuine expression, and what is refused with its place."""

from __future__ import annotations

import pytest
from m_samples import genuine_expressions

from tabvault.errors import ExpressionNotSupportedError
from tabvault.model.power_query import syntax
from tabvault.model.power_query.parser import DEPTH_MAX, parse
from tabvault.model.power_query.tokens import TEXT_CHAR_COUNT_MAX


def text_of(expression: str) -> str:
    parsed = parse(expression)
    assert isinstance(parsed, syntax.TextLiteral)
    return parsed.value


def test_every_genuine_expression_is_parsed() -> None:
    expressions = genuine_expressions()
    for one in expressions:
        form = syntax.Let | syntax.Binary | syntax.Function
        assert isinstance(parse(one.text), form), (one.sample, one.name)
    print(f"parsed {len(expressions)} of {len(expressions)}")  # noqa: T201 - the count
    assert expressions


@pytest.mark.parametrize(
    ("spelled", "value"),
    [
        ('""', ""),
        ('"a ""b"""', 'a "b"'),
        ('"a#(cr,lf)b"', "a\r\nb"),
        ('"#(tab)#(#)(lf)"', "\t#(lf)"),
        ('"#(00E9)#(0001F600)"', "é😀"),
        ('"#(D83D,DE00)"', "😀"),
        ('"# (lf)"', "# (lf)"),
        ('"// no comment /*"', "// no comment /*"),
    ],
)
def test_a_text_literal_means_its_characters(spelled: str, value: str) -> None:
    assert text_of(spelled) == value


def test_a_step_with_a_quoted_name_and_comments_is_read() -> None:
    parsed = parse('let /* a */ #"My ""Step""" = 1, // b\n _x1.Type = 2 in #"My ""Step"""')
    assert parsed == syntax.Let(
        0,
        (('My "Step"', syntax.NumberLiteral(29, "1")), ("_x1.Type", syntax.NumberLiteral(49, "2"))),
        syntax.Identifier(54, 'My "Step"'),
    )


def test_operators_bind_as_the_specification_says() -> None:
    parsed = parse("a or b and not c = d + e * f meta g")
    assert isinstance(parsed, syntax.Connective)
    assert parsed.operator == "or"
    conjunction = parsed.operands[1]
    assert isinstance(conjunction, syntax.Connective)
    equality = conjunction.operands[1]
    assert isinstance(equality, syntax.Binary)
    assert equality.operator == "="
    assert isinstance(equality.left, syntax.Unary)
    addition = equality.right
    assert isinstance(addition, syntax.Binary)
    product = addition.right
    assert isinstance(product, syntax.Binary)
    assert (addition.operator, product.operator) == ("+", "*")
    assert isinstance(product.right, syntax.Binary)
    assert product.right.operator == "meta"


def test_subtraction_goes_from_left_to_right() -> None:
    parsed = parse("1 - 2 - 3")
    assert isinstance(parsed, syntax.Binary)
    assert isinstance(parsed.left, syntax.Binary)
    assert parsed.right == syntax.NumberLiteral(8, "3")


def test_fields_items_and_calls_follow_each_other() -> None:
    parsed = parse('Source{[Schema="dbo", Item Name="t"]}?[Data Of 2024]?(x)')
    assert isinstance(parsed, syntax.Invocation)
    field = parsed.function
    assert isinstance(field, syntax.FieldAccess)
    assert (field.name, field.is_optional) == ("Data Of 2024", True)
    assert isinstance(field.target, syntax.ItemAccess)
    assert field.target.is_optional
    assert isinstance(field.target.selector, syntax.RecordExpression)
    assert [name for name, _ in field.target.selector.fields] == ["Schema", "Item Name"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{1, 2..5, {}}", syntax.ListExpression),
        ("[]", syntax.RecordExpression),
        ("[A = 1, B = [A]]", syntax.RecordExpression),
        ("[A]", syntax.FieldAccess),
        ("[[A], [B]]?", syntax.Projection),
        ("x[[A], [B]]", syntax.Projection),
        ("each [A] > 1", syntax.Each),
        ("(x, optional y as nullable text) as number => x", syntax.Function),
        ("() => 1", syntax.Function),
        ("(x) as text", syntax.TypeTest),
        ("try 1 otherwise 2", syntax.Try),
        ("try 1 catch (e) => e", syntax.Try),
        ('error [Reason = "x"]', syntax.Raise),
        ("...", syntax.Raise),
        ("if true then 1 else 2", syntax.If),
        ("x is nullable number", syntax.TypeTest),
        ("a ?? b", syntax.Binary),
        ("@f(1)", syntax.Invocation),
        ("#date(2020, 1, 2)", syntax.Invocation),
        ("Section1!x", syntax.SectionAccess),
        ("type table [A = text, optional B = nullable Int64.Type, C]", syntax.TypeExpression),
        ("type function (a as text, optional b as {number}) as any", syntax.TypeExpression),
        ("type nullable [A = text, ...]", syntax.TypeExpression),
        ("type type", syntax.TypeExpression),
        ("#infinity", syntax.NumberLiteral),
        ("0xFF", syntax.NumberLiteral),
        (".5e-3", syntax.NumberLiteral),
        ("let x = 1 in let y = x in y", syntax.Let),
        ("Größe", syntax.Identifier),
    ],
)  # fmt: skip
def test_each_form_of_the_grammar_is_its_node(text: str, kind: type) -> None:
    assert isinstance(parse(text), kind)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1, column 1: an expression is expected, the end found"),
        ("1 2", "line 1, column 3: the end is expected, '2' found"),
        ("let\n  x = \n in x", "line 3, column 2: an expression is expected, 'in' found"),
        ("let x = 1, x = 2 in x", "variable 'x' is there twice"),
        ("[A = 1, A = 2]", "field 'A' is there twice"),
        ('"abc', "line 1, column 1: text has no end"),
        ("1 /* abc", "line 1, column 3: comment has no end"),
        ('#"abc', "quoted identifier has no end"),
        ('"#(nope)"', "line 1, column 2: #(nope) is no escape of M"),
        ('"#(lf"', "escape #( has no end"),
        ('"#(D83D)"', "half a surrogate pair"),
        ('"#(FFFFFFFF)"', "is no escape of M"),
        ("a $ b", "line 1, column 3: character '$' means nothing here"),
        ("#tabel({}, {})", "#tabel is no keyword of M"),
        ("section Section1; shared x = 1;", "a section document"),
        ("x as table [A = text]", "the end is expected"),
        ("f(1,)", "an expression is expected, ')' found"),
        ('#!"verbatim"', "means nothing here"),
    ],
)
def test_what_is_no_m_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(ExpressionNotSupportedError) as caught:
        parse(text)
    assert problem in caught.value.message


@pytest.mark.parametrize("opening", ["(", "{", "[A=", "each ", "f(", "if ", "not ", "x{"])
def test_deep_nesting_is_refused_before_the_stack_ends(opening: str) -> None:
    with pytest.raises(ExpressionNotSupportedError, match=r"deep|in a chain"):
        parse(opening * 5000 + "1")


def test_a_type_nested_deeply_is_refused_before_the_stack_ends() -> None:
    with pytest.raises(ExpressionNotSupportedError, match="deep"):
        parse("type " + "{" * 5000 + "text")


@pytest.mark.parametrize("text", ["f" + "()" * 5000, "1" + " + 1" * 5000, "x" + "[a]" * 5000])
def test_a_long_chain_is_refused(text: str) -> None:
    with pytest.raises(ExpressionNotSupportedError, match=f"more than {DEPTH_MAX}"):
        parse(text)


def test_a_filter_of_a_thousand_alternatives_is_parsed() -> None:
    parsed = parse("each " + " or ".join(f"[A] = {number}" for number in range(1000)))
    assert isinstance(parsed, syntax.Each)
    assert isinstance(parsed.body, syntax.Connective)
    assert len(parsed.body.operands) == 1000


def test_an_expression_that_is_too_long_is_refused() -> None:
    with pytest.raises(ExpressionNotSupportedError, match="over the limit"):
        parse('"' + "x" * TEXT_CHAR_COUNT_MAX + '"')
