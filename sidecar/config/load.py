"""Loading the configuration: from a file's path to a checked `Config`, or to everything that is wrong with it.

One pass finds all problems: form (`reader.py`), then meaning, over whatever was read right. A configuration with an
error is never used in part. Relative paths, wherever they are written, start from the main file's directory. Reads
files and nothing else; on an event loop, call it in a thread.
"""

from __future__ import annotations

import glob
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import UNSET

from sidecar.config import document
from sidecar.config.addresses import AddressError, check_public_url, is_loopback, parse_listen
from sidecar.config.channels import ChannelBuilder
from sidecar.config.codes import Ignored, read_codes
from sidecar.config.credentials import Credentials
from sidecar.config.escalation import build_policies, check_policies
from sidecar.config.files import MAX_CONFIG_BYTES, FileProblemError, read_file
from sidecar.config.heartbeat import build_heartbeat
from sidecar.config.inputs import build_inputs, check_listeners
from sidecar.config.made_up import made_up_channels, without_keys
from sidecar.config.model import Admin, ChannelConfig, Config, Log, PagerDutyChannel
from sidecar.config.pagers import warn_of_pages
from sidecar.config.peace import build_silences
from sidecar.config.problems import Place, Problem, Severity, Source, quoted
from sidecar.config.reader import Reader
from sidecar.config.routes import build_routing, check_rule, created_channels
from sidecar.config.routing import ROUTES, build_routes
from sidecar.config.rule_tests import RuleTest, build_tests, is_tests, tests_beside
from sidecar.config.rules import Built, Entry, build_defaults, build_rule
from sidecar.config.searching import warn_of_unbounded
from sidecar.config.secrets import Secret
from sidecar.config.syntax import Parsed, UnreadableError, parse
from sidecar.config.values import read_duration
from sidecar.config.webhooks import build_webhooks
from sidecar.core.patterns import PatternError
from sidecar.core.redact_own import own_step
from sidecar.core.times import DAY, SECOND

MAX_RULES_FILES = 1000
"""Files that `rules_files` may name together: a mistaken `/**` must not read a whole disk."""

MAX_SCANNED = 100_000
"""Names that one glob of `rules_files` may visit, for the same reason."""

OTHERS_READ = 0o044
"""Permission bits that let group or others read."""


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of loading."""

    config: Config | None
    """None if there is any error."""
    problems: list[Problem]
    files: tuple[str, ...]
    """Every file that was read or should have been, absolute: a change to one may mend a problem."""
    rules: tuple[Built, ...] = ()
    """All rules where they are written, also those that are not enabled."""
    ignored: Ignored = Ignored()
    withheld: int = 0
    """Problems that `ignored` kept back."""
    tests: tuple[RuleTest, ...] = ()
    """Of the rules, if they were asked for."""


def load(path: str | Path, env: Mapping[str, str], *, tests: bool = False) -> Loaded:
    """Load a configuration file and all that it names. `env` is the environment; nothing is taken from elsewhere.

    `tests`: the rules' tests, too, with those in files beside them.
    """
    return _Loader(Path(path), env, tests=tests).load()


def load_rules(paths: Sequence[Path], env: Mapping[str, str]) -> Loaded:
    """Load files of rules by themselves, with their tests, under the defaults.

    Channels are made up: one of each name that a rule tells, and one of each type that the built-in routing tells. Keys
    of the rules' own are left out.
    """
    return _Loader(paths[0], env, tests=True).load_rules(paths)


def load_admin(path: str | Path, env: Mapping[str, str]) -> tuple[Admin | None, list[Problem]]:
    """Return a file's `admin` section, and what is wrong with it: whoever asks the daemon need not know its secrets."""
    return _Loader(Path(path), env).load_admin()


class _Loader:
    """One loading. Keeps the files, their sources and the problems as they come in."""

    def __init__(self, path: Path, env: Mapping[str, str], *, tests: bool = False) -> None:
        self._path = path
        self._base = path.absolute().parent
        self._env = env
        self._problems: list[Problem] = []
        self._files: list[str] = []
        self._modes: list[tuple[Source, int]] = []
        self._credentials = Credentials(self._base)
        self._rules: tuple[Built, ...] = ()
        self._ignored = Ignored()
        self._with_tests = tests
        self._tests: list[RuleTest] = []

    def load(self) -> Loaded:
        return self._loaded(self._config())

    def load_rules(self, paths: Sequence[Path]) -> Loaded:
        entries = [entry for path in paths for entry in self._rules_file(path, keys=False)]
        reader = Reader(Source(str(self._path), []), self._env)
        root = reader.read(document.Root, {"channels": made_up_channels(entry.doc for entry in entries)})
        assert root is not None
        return self._loaded(self._build(reader, root, entries, ()))

    def _loaded(self, config: Config | None) -> Loaded:
        files = tuple(dict.fromkeys([*self._files, *self._credentials.files]))
        order = {source.file: i for i, (source, _) in enumerate(self._modes)}
        problems = [problem for problem in self._problems if not self._ignored.covers(problem)]
        problems.sort(key=lambda problem: (order.get(problem.file, len(order)), problem.line or 0))
        if any(problem.severity is Severity.ERROR for problem in problems):
            config = None
        if config is not None:
            config = msgspec.structs.replace(config, files=files, warnings=tuple(map(str, problems)))
        return Loaded(
            config=config,
            problems=problems,
            files=files,
            rules=self._rules,
            ignored=self._ignored,
            withheld=len(self._problems) - len(problems),
            tests=tuple(self._tests),
        )

    def load_admin(self) -> tuple[Admin | None, list[Problem]]:
        main = Source(str(self._path), self._problems)
        parsed = self._parse(main, self._path)
        data = None if parsed is None else parsed.data
        if isinstance(data, dict):
            data = {key: value for key, value in data.items() if key == "admin"}
        root = None if parsed is None else Reader(main, self._env).read(document.Root, {} if data is None else data)
        admin = None if root is None else self._admin(main, root)
        wrong = any(problem.severity is Severity.ERROR for problem in self._problems)
        return None if wrong else admin, self._problems

    def _config(self) -> Config | None:
        main = Source(str(self._path), self._problems)
        reader = Reader(main, self._env)
        data = self._parse(main, self._path)
        if data is None:
            return None
        root = reader.read(document.Root, {} if data.data is None else data.data)
        if root is None:
            return None
        entries = [Entry(reader, ("rules", i), rule) for i, rule in enumerate(root.rules)]
        self._take_tests(reader, self._path, entries)
        globs = self._rules_files(main, root.rules_files, entries)
        return self._build(reader, root, entries, globs)

    def _parse(self, source: Source, path: Path) -> Parsed | None:
        self._files.append(str(path.absolute()))
        try:
            content = read_file(path, MAX_CONFIG_BYTES)
            parsed = parse(content.data.decode("utf-8-sig"), path.suffix.lower())
        except FileProblemError as problem:
            source.error((), f"expected a configuration file, but {problem}")
            return None
        except UnicodeDecodeError as problem:
            source.error((), f"expected text in UTF-8: byte {problem.start + 1} is none")
            return None
        except UnreadableError as problem:
            source.lines = {} if problem.line is None else {(): problem.line}
            source.error((), str(problem))
            return None
        source.lines = parsed.lines
        self._modes.append((source, content.mode))
        for place, key in parsed.duplicates:
            source.error((*place, key), "the same key is given twice: remove one")
        return parsed

    def _rules_files(self, main: Source, patterns: list[str], entries: list[Entry]) -> tuple[str, ...]:
        """Read the rules of further files into `entries`. Return the patterns, absolute."""
        seen = {self._path.resolve()}
        for i, pattern in enumerate(patterns):
            place: Place = ("rules_files", i)
            for path in self._matching(main, place, pattern):
                if path.resolve() in seen:
                    continue
                if len(seen) > MAX_RULES_FILES:
                    main.error(place, f"expected at most {MAX_RULES_FILES} files with rules altogether")
                    return ()
                seen.add(path.resolve())
                entries.extend(self._rules_file(path))
        return tuple(str(self._base / pattern) for pattern in patterns if pattern)

    def _matching(self, main: Source, place: Place, pattern: str) -> list[Path]:
        """Return the files that a pattern names, as a person would find them from where they are."""
        if not pattern or main.failed(place):
            return []
        full = str(self._path.parent / pattern)
        if not glob.has_magic(pattern):
            if not Path(full).exists():
                self._files.append(str(Path(full).absolute()))
                main.error(place, f"expected a file with rules, but there is no such file: {quoted(full)}")
                return []
            return [Path(full)]
        escaped = str(Path(glob.escape(str(self._path.parent))) / pattern)
        names = glob.iglob(escaped, recursive=True)  # noqa: PTH207 - pathlib's takes no absolute patterns
        found = [Path(name) for name in itertools.islice(names, MAX_SCANNED)]
        files = sorted(path for path in found if path.is_file() and not is_tests(path))
        if not files:
            main.warning(place, f"no file matches {quoted(full)}")
        return files

    def _rules_file(self, path: Path, *, keys: bool = True) -> list[Entry]:
        source = Source(str(path), self._problems)
        reader = Reader(source, self._env)
        parsed = self._parse(source, path)
        if parsed is None:
            return []
        data = parsed.data if keys else without_keys(parsed.data)
        entries, tests = self._read_rules(source, reader, data)
        self._take_tests(reader, path, entries, tests)
        return entries

    def _take_tests(
        self, reader: Reader, path: Path, entries: list[Entry], together: Sequence[document.RuleTest] = ()
    ) -> None:
        """Build the tests of a file's rules: in them, among them and beside them."""
        if not self._with_tests:
            return
        for entry in entries:
            self._tests += build_tests(reader, entry.place, entry.doc.tests, [entry.doc.rule_name])
        names = [entry.doc.rule_name for entry in entries]
        self._tests += build_tests(reader, (), together, names)
        for beside in filter(Path.is_file, tests_beside(path)):
            source = Source(str(beside), self._problems)
            parsed = self._parse(source, beside)
            own = Reader(source, self._env)
            doc = None if parsed is None else own.read(document.TestsFile, parsed.data)
            self._tests += build_tests(own, (), [] if doc is None else doc.tests, names)

    def _read_rules(
        self, source: Source, reader: Reader, data: object
    ) -> tuple[list[Entry], Sequence[document.RuleTest]]:
        if isinstance(data, list):
            rules = [(reader.read(document.Rule, item, (i,)), (i,)) for i, item in enumerate(data)]
            return [Entry(reader, place, rule) for rule, place in rules if rule is not None], ()
        if isinstance(data, dict) and "rules" in data:
            several = reader.read(document.RulesFile, data)
            entries = [Entry(reader, ("rules", i), rule) for i, rule in enumerate(several.rules if several else [])]
            return entries, several.tests if several else ()
        if data is None:
            source.warning((), "holds no rules")
            return [], ()
        if not isinstance(data, dict):
            source.error((), "expected a rule, a list of rules, or `rules` with a list")
            return [], ()
        rule = reader.read(document.Rule, data)
        return ([] if rule is None else [Entry(reader, (), rule)]), ()

    def _build(self, reader: Reader, root: document.Root, entries: list[Entry], globs: tuple[str, ...]) -> Config:
        main = reader.source
        channels = ChannelBuilder(main, self._credentials).build(dict(root.channels))
        table = {key: entries for key, entries in root.routing.items() if key != ROUTES}
        routing = build_routing(main, table, channels)
        routes = build_routes(main, root.routing.get(ROUTES, []), channels)
        defaults = build_defaults(reader, root.defaults or document.Defaults())
        policies = build_policies(main, dict(root.escalation))
        rules = [build_rule(entry, defaults, self._credentials, policies) for entry in entries]
        self._rules = tuple(rules)
        self._ignored = _ignored(main, root, rules)
        _check_unique(rules)
        created = created_channels(rules, channels)
        for built in rules:
            check_rule(built, main, channels, created, routing, routes)
            warn_of_pages(built, {**channels, **created}, routing, routes)
        used = [built.rule.escalation.name for built in rules if built.enabled and built.rule.escalation is not None]
        check_policies(main, dict(root.escalation), [*channels, *created], used)
        self._check_use(main, root, entries)
        config = Config(
            inputs=build_inputs(main, root.inputs, self._base, self._credentials),
            channels={**channels, **created},
            rules=tuple(built.rule for built in rules if built.enabled),
            secrets=_keys(rules, channels),
            routing=routing,
            silences=build_silences(main, root.silences),
            routes=routes,
            admin=self._admin(main, root),
            webhooks=build_webhooks(main, root, channels, self._credentials),
            heartbeat=build_heartbeat(main, root, self._credentials),
            log=Log() if root.log is UNSET else Log(level=root.log.level, format=root.log.format),
            state_dir=None if root.state_dir is UNSET else str(self._base / root.state_dir),
            external_url=_external_url(main, root),
            drain=round(root.drain_seconds * SECOND),
            page_budget=(root.page_budget or document.PageBudget()).max_pages_per_hour,
            retention=_retention(main, root),
            quarantine_max=root.quarantine_max,
            redact=_redact(main, root),
            strict_permissions=root.strict_permissions,
            rules_files=globs,
        )
        check_listeners(main, config.inputs, config.admin, config.webhooks)
        warn_of_unbounded(rules, config.inputs)
        self._check_permissions(root.strict_permissions)
        return config

    def _admin(self, main: Source, root: document.Root) -> Admin:
        doc = root.admin or document.Admin()
        token = self._credentials.take(main, ("admin",), "token", doc.token, doc.token_file)
        given = main.has(("admin", "token")) or main.has(("admin", "token_file"))
        try:
            host, port = parse_listen(doc.listen)
        except AddressError as error:
            main.error(("admin", "listen"), str(error))
            return Admin()
        if not given and not is_loopback(host):
            main.error(
                ("admin",), "`token` is missing: expected it, or `token_file`, where `listen` is no loopback address"
            )
        return Admin(host=host, port=port, token=token)

    def _check_use(self, main: Source, root: document.Root, entries: list[Entry]) -> None:
        if not root.inputs and not main.failed(("inputs",)):
            main.warning((), "there are no `inputs`: nothing will be read")
        if not any(entry.doc.enabled for entry in entries):
            main.warning((), "there are no enabled `rules`: nothing will be looked for")

    def _check_permissions(self, strict: bool) -> None:
        for source, mode in self._modes:
            if source.inline_secrets and mode & OTHERS_READ:
                message = (
                    f"holds a secret and may be read by others (mode {mode:04o}): expected mode 0600, or the secret "
                    "in the environment or in a file of its own"
                )
                if strict:
                    source.error((), message)
                else:
                    source.warning((), message)


def _check_unique(rules: list[Built]) -> None:
    first: dict[str, Entry] = {}
    for built in rules:
        name, entry = built.rule.name, built.entry
        if not name:
            continue
        other = first.setdefault(name, entry)
        if other is not entry:
            where = f"{other.source.where(other.place)} in {other.source.file}".removeprefix(" in ")
            entry.source.error(
                (*entry.place, "rule_name"),
                f"expected a unique name, but {where} has the same one: a rule's name is its identity",
            )


def _ignored(main: Source, root: document.Root, rules: list[Built]) -> Ignored:
    everywhere = [] if root.lint is UNSET else root.lint.ignore
    return Ignored(
        read_codes(main, ("lint", "ignore"), everywhere), {built.rule.name: built.ignored for built in rules}
    )


def _keys(rules: list[Built], channels: Mapping[str, ChannelConfig]) -> dict[str, Secret]:
    own = [built.key for built in rules if built.enabled]
    theirs = [channel.routing_key for channel in channels.values() if isinstance(channel, PagerDutyChannel)]
    return {key.fingerprint(): key for key in (*theirs, *own) if key is not None}


def _retention(main: Source, root: document.Root) -> int:
    place = ("retention",)
    duration = read_duration(main, place, root.retention)
    if 0 < duration < DAY:
        main.error(place, f"expected a duration of at least `1d`, found {quoted(root.retention)}")
    return duration


def _redact(main: Source, root: document.Root) -> tuple[str, ...]:
    patterns = () if root.redact is UNSET else tuple(root.redact.patterns)
    for i, pattern in enumerate(patterns):
        if not main.failed(place := ("redact", "patterns", i)):
            try:
                own_step((pattern,))
            except PatternError as error:
                main.error(place, f"expected a regular expression (RE2) for what is to be hidden: {error}")
    return patterns


def _external_url(main: Source, root: document.Root) -> str | None:
    if root.external_url is UNSET:
        return None
    try:
        return check_public_url(root.external_url)
    except AddressError as error:
        main.error(("external_url",), str(error))
        return None
