"""All configuration: one typed field each, read from environment variables COMMERCE_*."""

import difflib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, get_type_hints

import msgspec

from commerce.kernel.docstring import field_docs
from commerce.kernel.master_key import MasterKey
from commerce.kernel.network import Networks
from commerce.kernel.wording import MUST, must_be

PREFIX = "COMMERCE_"
KEY_FILE = "master.key"
"""Where the master key is kept in the data folder."""
KEY_FILE_BYTES_MAX = 1024
SECRET_FIELDS = frozenset({"database_url", "master_key", "stripe_key"})

ORIGINS = r"^(\*|https?://[^\s,/*]+(\s*,\s*https?://[^\s,/*]+)*)$"
"""All origins, or some: scheme, host and port, and nothing behind them."""

BASE_URL = r"^https?://[^\s?#]*[^\s?#/]$"
USER = "^[a-z_][a-z0-9_-]{0,31}$"


def _shaped(pattern: str, must: str) -> msgspec.Meta:
    """A pattern, and what it asks for in words."""
    return msgspec.Meta(pattern=pattern, extra={MUST: must})


_NETWORKS = msgspec.Meta(extra={MUST: "addresses and CIDR networks, with commas between"})
Count = Annotated[int, msgspec.Meta(ge=1)]

WATCHERS = Networks("127.0.0.0/8", "::1")


class SettingsError(Exception):
    """A setting is unknown or wrong; the message is one line for the user."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of one process; the variable of `port` is COMMERCE_PORT."""

    data_dir: Path = Path("data")
    """The folder of the embedded database, the master key and the sandbox keys."""
    database_url: Annotated[str, _shaped("^postgres(ql)?://", "a URL, postgresql://…")] | None = (
        None
    )
    """The PostgreSQL to use; unset, an embedded one runs in the data folder."""
    master_key: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """Seals stored secrets and keys fingerprints: 64 hex characters or base64 of 32 bytes; \
unset, it is kept in the data folder."""
    stripe_key: Annotated[str, _shaped("^(sk|rk)_", "a secret key of Stripe's, sk_…")] | None = None
    """The secret key of the Stripe account that takes cards in live mode; unset, nobody does. \
Test mode has a processor of its own."""
    settlement_days: Annotated[int, msgspec.Meta(ge=0, le=60)] = 2
    """After how many banking days money from cards is available, where the processor does not \
say so itself; 0 is at once."""
    order_expiry_hours: Annotated[int, msgspec.Meta(ge=1, le=8760)] = 24
    """For how many hours an order waits for its money before it is cancelled."""
    order_completion_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 3
    """How many days after its delivery an order in escrow is completed by itself."""
    order_dispute_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 14
    """How many days after its delivery an order can be disputed."""
    network: Literal["testnet", "production", "both"] = "testnet"
    """The networks this server answers for: `testnet` takes test keys, `production` live keys, \
`both` either."""
    host: Annotated[str, msgspec.Meta(min_length=1)] = "127.0.0.1"
    """The address to listen on."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8000
    """The port to listen on; 0 picks a free one."""
    workers: Count = 1
    """The number of API processes."""
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    """The least severe messages that are logged: `debug`, `info`, `warning`, `error` or \
`critical`."""
    log_format: Literal["json", "console"] | None = None
    """How log lines look: `json` for machines or `console` for people; unset, console where \
standard error is a terminal."""
    base_url: (
        Annotated[str, _shaped(BASE_URL, "a URL, http:// or https://, without a slash at its end")]
        | None
    ) = None
    """The URL clients reach the server at, without a slash at its end, used in doc_url and \
sandbox.json; unset, derived from host and port."""
    tls_cert: Path | None = None
    """The certificate chain to serve HTTPS with, a PEM file; needs tls_key."""
    tls_key: Path | None = None
    """The private key of tls_cert, an unencrypted PEM file."""
    trusted_proxies: Annotated[Networks | None, _NETWORKS] = None
    """The proxies whose X-Forwarded-For and X-Forwarded-Proto count: addresses and CIDR networks \
with commas between; unset, nobody's do."""
    cors_origins: Annotated[
        str, _shaped(ORIGINS, "* or origins such as https://shop.example.com, with commas between")
    ] = "*"
    """The web origins whose pages may call: * for all, or origins with commas between."""
    engine_lanes: Count = 2
    """The number of batches an API process runs at the same time."""
    batch_weight_max: Count = 5120
    """The number of rows one batch may write before the next one begins."""
    pool_size: Count = 8
    """The number of database connections an API process reads with."""
    postgres_user: Annotated[str, _shaped(USER, "the name of a system user")] = "commerce-postgres"
    """The system user that runs the embedded PostgreSQL when the server is started as root."""
    body_size_max: Count = 1 << 20
    """The size of a request body in bytes above which it is refused."""
    rate_limits: Literal["on", "off"] = "on"
    """Whether accounts and addresses are held to their rates, `on` or `off`; off (to measure, or \
behind a gateway that does it) no answer tells of limits either."""
    address_rate: Count = 100
    """The requests a second without a good key that one address may send; twice as many may \
come at once. An IPv6 network of 64 bits counts as one address."""
    connections_max: Count = 8192
    """The connections an API process holds at once, as far as the system's limit on open files \
goes; a further one is answered 503 and closed."""
    address_connections_max: Count = 1024
    """The connections an API process holds at once from one address, though never more than half \
of all; trusted_proxies are exempt."""
    verify_hours: Annotated[int, msgspec.Meta(ge=0, le=8760)] = 24
    """How many hours after the last verify the whole ledger is verified again, by one process \
of all; 0 leaves it to `commerce verify`."""
    metrics_networks: Annotated[Networks, _NETWORKS] = WATCHERS
    """Who is shown /metrics, which needs no key: addresses and CIDR networks with commas between; \
to others there is nothing there."""
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    """The port at which `commerce worker` serves its own /metrics, /healthz and /readyz; 0 picks \
a free one, unset it serves nothing."""
    otlp_endpoint: (
        Annotated[str, _shaped(r"^https?://[^\s?#@]+$", "a URL, http:// or https://")] | None
    ) = None
    """The OpenTelemetry collector that traces are sent to, by OTLP over HTTP: \
http://127.0.0.1:4318; unset, nothing is traced. The SDK's own OTEL_* variables say the rest."""

    @classmethod
    def load(cls, environ: Mapping[str, str], **overrides: object) -> Self:
        """Reads the environment; an override wins unless it is None, as an option not given is.

        Raises SettingsError for a wrong value and for an unknown COMMERCE_* variable.
        """
        names = {_variable(field): field for field in cls.__struct_fields__}
        given: dict[str, object] = {}
        for variable, text in environ.items():
            if variable.startswith(PREFIX):
                given[_known(variable, names)] = text
        for field, value in overrides.items():
            if value is not None:
                given[_known(_variable(field), names)] = value
        hints = get_type_hints(cls, include_extras=True)
        options = {field: f"--{field.replace('_', '-')}" for field in overrides}
        values: dict[str, Any] = {
            field: _value(options.get(field, _variable(field)), hints[field], raw)
            for field, raw in given.items()
        }
        if (values.get("tls_cert") is None) is not (values.get("tls_key") is None):
            given_one, other = ("tls_cert", "tls_key")[:: 1 if "tls_cert" in values else -1]
            raise SettingsError(f"{_variable(given_one)} needs {_variable(other)} beside it")
        return cls(**values)

    def describe(self) -> list["Setting"]:
        """Every setting in order, as `commerce settings` prints it; secrets are not shown."""
        docs = field_docs(Settings)
        fields = msgspec.structs.fields(Settings)
        return [
            Setting(
                _variable(field.name),
                _shown(field.name, getattr(self, field.name)),
                _shown(field.name, field.default),
                docs[field.name],
            )
            for field in fields
        ]

    def environment(self) -> dict[str, str]:
        """The variables that would load as these settings, for a process of the same server."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return {_variable(name): str(value) for name, value in given.items() if value is not None}

    def __repr__(self) -> str:
        shown = ((name, _shown(name, getattr(self, name))) for name in self.__struct_fields__)
        return f"Settings({', '.join(f'{name}={value}' for name, value in shown)})"


class Setting(NamedTuple):
    """One line of `commerce settings`."""

    name: str
    value: str
    default: str
    doc: str


def _variable(field: str) -> str:
    return PREFIX + field.upper()


def _known(variable: str, names: Mapping[str, str]) -> str:
    if variable in names:
        return names[variable]
    nearest = difflib.get_close_matches(variable, names, n=1, cutoff=0.0)[0]
    raise SettingsError(f"the variable {variable} is unknown; the nearest known one is {nearest}")


def _value(name: str, kind: Any, raw: object) -> object:
    """Converts text to a type; the message names who gave it, and never what a secret is."""
    if raw == "":
        raise SettingsError(f"{name} is empty; leave it out for its default")
    try:
        # Lax mode would read the text "null" as None.
        lax = isinstance(raw, str) and raw.lower() != "null"
        return msgspec.convert(raw, kind, strict=not lax, dec_hook=_own_type)
    except msgspec.ValidationError:
        raise SettingsError(f"{name} must be {must_be(kind, null=False)}") from None


def _own_type(kind: type, raw: Any) -> Any:
    """Paths and networks are the types here that msgspec does not know."""
    return Networks.parse(raw) if kind is Networks else kind(raw).expanduser()


def _shown(field: str, value: object) -> str:
    if value is None:
        return ""
    return "(set)" if field in SECRET_FIELDS else str(value)


def load_master_key(data_dir: Path, configured: str | None) -> MasterKey:
    """The configured master key, or the one kept in `data_dir`, made there the first time.

    Processes that start together agree on one key. Raises SettingsError.
    """
    if configured is not None:
        return _parsed(configured, _variable("master_key"))
    path = data_dir / KEY_FILE
    try:
        if not os.path.lexists(path):
            _generate(path)
        return _parsed(_read_private(path), str(path))
    except OSError as error:
        raise SettingsError(f"the master key {path} cannot be used: {error.strerror}") from None


def _parsed(text: str, where: str) -> MasterKey:
    try:
        return MasterKey.parse(text)
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from None


def _generate(path: Path) -> None:
    """Writes a new key beside its name, then links it there: whole or not at all, one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=".master.key.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(MasterKey.generate().reveal() + "\n")
            file.flush()
            os.fsync(descriptor)
        path.hardlink_to(fresh)
    except FileExistsError:
        # Another process was faster: its key is the one.
        return
    finally:
        Path(fresh).unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Makes a new name in a folder survive a power cut: without its key the data is lost."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_private(path: Path) -> str:
    """The text of a file that must be a plain one of ours which nobody else may read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISREG(status.st_mode):
            raise SettingsError(f"{path} is not a plain file")
        if status.st_uid != os.geteuid():
            raise SettingsError(f"{path} belongs to another user")
        if mode & 0o077:
            raise SettingsError(f"{path} may be read by others (mode {mode:04o}): chmod 600 it")
        return os.read(descriptor, KEY_FILE_BYTES_MAX).decode(errors="replace")
    finally:
        os.close(descriptor)
