"""A level is what its name or its number means on the scale of the logger that wrote it, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.levels import Level, Scale, level_from_number, level_from_text, level_from_value, strip_ansi

DEBUG, INFO, WARN, ERROR, FATAL, PANIC = Level

NAMES = {
    PANIC: ["emerg", "emergency", "panic", "dpanic"],
    FATAL: ["alert", "crit", "critical", "fatal"],
    ERROR: ["err", "error", "severe"],
    WARN: ["warn", "warning"],
    INFO: ["notice", "info"],
    DEBUG: ["debug", "trace", "verbose"],
}


@pytest.mark.parametrize(("level", "name"), [(level, name) for level, names in NAMES.items() for name in names])
def test_the_names_of_other_loggers_in_any_case_padded_bracketed_and_coloured(level: Level, name: str) -> None:
    for text in (name, name.upper(), name.title(), name[0] + name[1:].upper()):
        for written in (text, f" {text}\t", f"[{text}]", f"<{text}>", f"{text}:", f"\x1b[1;31m{text}\x1b[0m"):
            assert level_from_value(written) is level
            assert level_from_text(written) is level


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "unknown", "errors", "infoo", "error x", "no error", "lnfo", "KRİT", "warnıng", "9", "0", "61", "-1",
        "1e99", "NaN", "5_0", "error" + " " * 100, None, True, False, [], ["error"], {}, {"name": "error"}, b"error",
    ],
)  # fmt: skip
def test_anything_else_is_no_level(value: object) -> None:
    assert level_from_value(value) is None


SCALES = {
    Scale.PINO: {10: DEBUG, 20: DEBUG, 30: INFO, 35: INFO, 40: WARN, 49: WARN, 50: ERROR, 60: FATAL},
    Scale.SYSLOG: {0: PANIC, 1: FATAL, 2: FATAL, 3: ERROR, 4: WARN, 5: INFO, 6: INFO, 7: DEBUG},
    Scale.OTEL: dict(
        enumerate(4 * [DEBUG] + 4 * [DEBUG] + 4 * [INFO] + 4 * [WARN] + 4 * [ERROR] + 4 * [FATAL], start=1)
    ),
}
BEYOND = {Scale.PINO: [9, 61, 70], Scale.SYSLOG: [8, 10, 30], Scale.OTEL: [0, 25, 30]}


@pytest.mark.parametrize("scale", SCALES)
def test_each_number_on_its_loggers_scale_also_written_as_text_or_fraction(scale: Scale) -> None:
    for number, level in SCALES[scale].items():
        for value in (number, float(number), str(number), f" {number}.0", f'"{number}"', f"<{number}>"):
            assert level_from_value(value, scale) is level


@pytest.mark.parametrize("scale", BEYOND)
def test_numbers_outside_the_scale_are_no_level(scale: Scale) -> None:
    for number in [*BEYOND[scale], -1, -0.5, 10**400, float("inf"), float("-inf"), float("nan")]:
        assert level_from_number(number, scale) is None


def test_numbers_are_pinos_unless_something_else_is_known() -> None:
    assert level_from_value(30) is INFO
    assert level_from_value(3) is None


@given(st.text(max_size=80) | st.integers() | st.floats(), st.sampled_from(Scale))
def test_no_value_raises(value: object, scale: Scale) -> None:
    assert level_from_value(value, scale) in {None, *Level}


def test_levels_rise_and_are_labelled_as_configuration_writes_them() -> None:
    assert [level.label for level in sorted(Level)] == ["debug", "info", "warn", "error", "fatal", "panic"]


def test_colours_are_removed_and_all_else_stays() -> None:
    assert strip_ansi("\x1b[1;31ma\x1b[0m [b] \x1b[Kc") == "a [b] c"
    assert strip_ansi("a [31m b") == "a [31m b"
