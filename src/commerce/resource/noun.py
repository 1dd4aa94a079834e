"""Nouns: from one class come the table, the JSON, the schema, lists, filters and the docs.

This is the one clever file. A noun is a frozen msgspec struct whose fields are what clients see:

    @noun(prefix="tr", path="stablecoin/transfers", ...)
    class Transfer(Noun, tag="stablecoin_transfer", kw_only=True):
        amount: Money
        \"\"\"What the recipient got.\"\"\"

Columns follow from types: money is a `bigint` of the smallest unit in the currency of the
noun's `currency`; a part (a nested struct) is flattened into columns `part_field`; what has one
possible value or is computed has no column; anything else structured is `jsonb`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Self,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from commerce.engine.overlay import Held
from commerce.kernel.docstring import field_docs
from commerce.kernel.money import Money
from commerce.resource.ref import Ref
from commerce.store.table import Column, Row, Table

READ_MAX = 20_000
"""How many objects of a noun are remembered as they were read."""


class _Mark(NamedTuple):
    name: str


HIDDEN = _Mark("hidden")
"""A field that is kept and never shown."""
COMPUTED = _Mark("computed")
"""A field that is shown and never kept: it is filled in when the object is read."""
HEX = _Mark("hex")
"""Bytes, kept as bytes and shown as hexadecimal digits."""

Time = Annotated[int, msgspec.Meta(description="Unix seconds.")]
Hash = Annotated[str, HEX, msgspec.Meta(description="32 bytes as hexadecimal digits.")]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A nested group of fields of a noun."""

    __stands_for__: ClassVar[str] = ""
    """The noun that this is a summary of, by its `id`: clients may expand it into the whole."""


class Noun(msgspec.Struct, frozen=True, kw_only=True, tag_field="object"):
    """What every object has."""

    __noun__: ClassVar[Spec]

    id: str
    """The object's id."""
    livemode: bool
    """False in test mode, true where real money moves."""
    created: Time
    """When the object was made, Unix seconds."""
    metadata: dict[str, str] = {}
    """Up to 50 pairs of your own; keys up to 40 characters, values up to 500."""

    @property
    def ref(self) -> Ref[Self]:
        """The id, for a field of another noun that leads here."""
        return cast("Ref[Self]", self.id)


class Field(NamedTuple):
    """One column of a noun: where its value stands in the object, and how it is read back."""

    path: str
    column: Column
    write: Callable[[Any], Any] | None


def encode_money(value: Any) -> Any:
    """Encode what JSON has no form for: money is its decimal text."""
    if isinstance(value, Money):
        return value.text
    if isinstance(value, int | str):
        return int(value) if isinstance(value, int) else str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


ENCODER = msgspec.json.Encoder(enc_hook=encode_money)


class Spec:
    """What the declaration of a noun says, ready for use: the engine's `Kind`."""

    def __init__(  # noqa: PLR0913 - a declaration, always called by keyword
        self,
        cls: type[Noun],
        *,
        prefix: str,
        event: str | None,
        path: str | None,
        scope: str | None,
        rank: int,
        filters: Sequence[str],
        order: tuple[str, ...],
        unique: Sequence[str],
        table: Table | None,
        table_name: str | None,
        announced: bool,
        example: Callable[..., Any] | None,
        listed_under: str = "account",
    ) -> None:
        self.cls = cls
        name = str(cls.__struct_config__.tag)
        self.name = name
        self.prefix = prefix
        self.event = event or name
        self.path = path
        self.scope = scope
        self.filters = tuple(filters)
        self.order = order
        self.example = example
        self.listed_under = listed_under
        # By field, all that a text can be, where only all nouns together show it.
        self.choices: dict[str, tuple[str, ...]] = {}
        self._read: dict[tuple[Any, ...], Held] = {}
        hints = get_type_hints(cls, include_extras=True)
        self.types = {field: hints[field] for field in cls.__struct_fields__}
        self.docs = field_docs(cls)
        self.hidden = {field for field, hint in self.types.items() if HIDDEN in _marks(hint)}
        names = zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True)
        self.shown = [pair for pair in names if pair[0] not in self.hidden]
        self.field_of = {shown: field for field, shown in self.shown}
        self.fields, readers = _plan(self.types, "", "", nullable=False)
        self._readers = readers
        own = [field.column for field in self.fields if field.column.name not in _HEAD]
        columns = [*_HEAD_COLUMNS, *own]
        self.table = table or Table(
            table_name or name,
            columns,
            key=("account", "livemode", "id"),
            rank=rank,
            unique=[("account", "livemode", column) for column in unique],
            announced=announced,
        )
        assert self.table.columns == tuple(columns), f"{name} does not match its table"
        self._at = {column: at for at, column in enumerate(self.table.names)}
        kept = [field for field in self.fields if field.column.name not in _HEAD]
        self._get = attrgetter("id", "created", "metadata", *[field.path for field in kept])
        self._writes = [
            (at, field.write) for at, field in enumerate(kept, 6) if field.write is not None
        ]

    def row(self, held: Held) -> Row:
        """An object as a row of its table."""
        thing = held.thing
        id_, created, metadata, *rest = self._get(thing)
        meta = msgspec.json.encode(metadata).decode() if metadata else "{}"
        row = [held.account, thing.livemode, id_, held.version, created, meta, *rest]
        for at, write in self._writes:
            row[at] = write(row[at])
        return tuple(row)

    def held(self, row: Row) -> Held:
        """A row of the table as an object; what is read all the time is remembered as read."""
        if not self.table.announced:
            return Held(self, row[0], row[3], self.thing(row))
        key = row[:3]
        held = self._read.get(key)
        if held is None or held.version != row[3]:
            if len(self._read) >= READ_MAX:
                self._read.clear()
            held = self._read[key] = Held(self, row[0], row[3], self.thing(row))
        return held

    def thing(self, row: Row) -> Any:
        """The object in a row."""
        values = dict(zip(self._at, row, strict=True))
        fields = {name: read(values) for name, read in self._readers}
        return self.cls(livemode=values["livemode"], **fields)

    def wire(self, thing: Any) -> dict[str, Any]:
        """The members of an object that clients see; of one that was deleted, that it was."""
        if getattr(thing, "deleted", False):
            return {"id": thing.id, "object": self.name, "deleted": True}
        members = {shown: getattr(thing, name) for name, shown in self.shown}
        return {"object": self.name, **members}

    def encode(self, thing: Any) -> bytes:
        """An object as JSON, as clients see it."""
        return ENCODER.encode(self.wire(thing) if self.hidden else thing)


_HEAD_COLUMNS = (
    Column("account", "text"),
    Column("livemode", "boolean"),
    Column("id", "text"),
    Column("version", "bigint"),
    Column("created", "bigint"),
    Column("metadata", "jsonb"),
)
_HEAD = {column.name for column in _HEAD_COLUMNS}

Reader = tuple[str, Callable[[dict[str, Any]], Any]]


def _marks(hint: Any) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _bare(hint: Any) -> tuple[Any, bool]:
    """A type without its annotations and without None, and whether None was allowed."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        rest = [arg for arg in get_args(hint) if arg is not type(None)]
        if len(rest) == 1 and len(rest) < len(get_args(hint)):
            return _bare(rest[0])[0], True
    return hint, False


def _is_constant(hint: Any) -> bool:
    return get_origin(hint) is Literal and len(get_args(hint)) == 1


def _plan(
    hints: dict[str, Any], path: str, prefix: str, *, nullable: bool
) -> tuple[list[Field], list[Reader]]:
    """The columns of fields, in their order, and how each field is read from a row."""
    fields: list[Field] = []
    readers: list[Reader] = []
    for name, hint in hints.items():
        bare, optional = _bare(hint)
        if name == "livemode" or _is_constant(bare) or COMPUTED in _marks(hint):
            continue
        column = f"{prefix}{name}"
        if isinstance(bare, type) and issubclass(bare, Part):
            nested, reader = _part(bare, f"{path}{name}", column, optional=optional or nullable)
            fields += nested
        else:
            field, reader = _leaf(f"{path}{name}", column, hint, nullable=optional or nullable)
            fields.append(field)
        readers.append((name, reader))
    return fields, readers


def _part(
    part: type[Part], path: str, column: str, *, optional: bool
) -> tuple[list[Field], Callable[[dict[str, Any]], Any]]:
    hints = get_type_hints(part, include_extras=True)
    fields, readers = _plan(
        {name: hints[name] for name in part.__struct_fields__},
        f"{path}.",
        f"{column}_",
        nullable=optional,
    )
    first = fields[0].column.name

    def read(values: dict[str, Any]) -> Any:
        if optional and values[first] is None:
            return None
        return part(**{name: reader(values) for name, reader in readers})

    if optional:
        fields = [_through_none(field, path) for field in fields]
    return fields, read


def _through_none(field: Field, path: str) -> Field:
    """Reach into a part that may be None."""
    inner = attrgetter(field.path.removeprefix(f"{path}."))

    def write(part: Any) -> Any:
        value = None if part is None else inner(part)
        return value if value is None or field.write is None else field.write(value)

    return Field(path, field.column, write)


def _leaf(
    path: str, column: str, hint: Any, *, nullable: bool
) -> tuple[Field, Callable[[dict[str, Any]], Any]]:
    bare, _ = _bare(hint)
    type_, path, write, read = _conversion(path, column, hint, bare, nullable=nullable)
    return Field(path, Column(column, type_, nullable), write), read


def _conversion(
    path: str, column: str, hint: Any, bare: Any, *, nullable: bool
) -> tuple[str, str, Callable[[Any], Any] | None, Callable[[dict[str, Any]], Any]]:
    """A leaf's column type, its path, and the functions between object and row."""

    def plain(values: dict[str, Any]) -> Any:
        return values[column]

    if bare is Money:

        def read(values: dict[str, Any]) -> Any:
            minor = values[column]
            return None if minor is None else Money(minor, values["currency"])

        if nullable:
            return "bigint", path, lambda money: money and money.minor, read
        return "bigint", f"{path}.minor", None, read
    if HEX in _marks(hint):
        return (
            "bytea",
            path,
            lambda text: text and bytes.fromhex(text),
            (lambda values: values[column] and values[column].hex()),
        )
    if bare is msgspec.Raw:
        return (
            "text",
            path,
            lambda raw: bytes(raw).decode(),
            (lambda values: msgspec.Raw((values[column] or "null").encode())),
        )
    simple = {bool: "boolean", int: "bigint", str: "text"}
    if bare in simple:
        return simple[bare], path, None, plain
    if get_origin(bare) is Literal:
        return "text", path, None, plain
    decode = msgspec.json.Decoder(bare).decode
    return "jsonb", path, _to_json, lambda values: values[column] and decode(values[column])


def _to_json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


Declared = TypeVar("Declared", bound=Noun)


def noun(  # noqa: PLR0913 - a declaration, always called by keyword
    *,
    prefix: str,
    rank: int,
    event: str | None = None,
    path: str | None = None,
    scope: str | None = None,
    filters: Sequence[str] = (),
    order: tuple[str, ...] = ("created", "id"),
    unique: Sequence[str] = (),
    table: Table | None = None,
    table_name: str | None = None,
    announced: bool = False,
    example: Callable[..., Any] | None = None,
    listed_under: str = "account",
) -> Callable[[type[Declared]], type[Declared]]:
    """Declare a noun.

    The class's tag is its `object`. `prefix` begins its ids. `path` is where it is retrieved
    and listed, under `scope`. `filters` are the fields a list may be filtered by, beside
    `created`. `order` is what lists are sorted by: of what is made all the time the `id`,
    whose index is there anyway. `unique` are fields of which an account has each value once.
    `rank` is the place in the order of locks. `listed_under` is the column that says in whose
    list an object stands, where it is not its own account's.
    """

    def declare(cls: type[Declared]) -> type[Declared]:
        cls.__noun__ = Spec(
            cls,
            prefix=prefix,
            event=event,
            path=path,
            scope=scope,
            rank=rank,
            filters=filters,
            order=order,
            unique=unique,
            table=table,
            table_name=table_name,
            announced=announced,
            example=example,
            listed_under=listed_under,
        )
        return cls

    return declare
