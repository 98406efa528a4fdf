"""Whatever lines there are, with the prefilter a stream makes the very matches that it makes without."""

from __future__ import annotations

import os
import random

import pytest

from sidecar.core.conditions import All, Any, Compare, Condition, Equals, Exists, Glob, Regex
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.decode.stream import Stream
from sidecar.core.detect import Detection, Detector
from sidecar.core.levels import Level
from sidecar.core.match import Match
from sidecar.core.matching import Matcher
from sidecar.core.prefilter import search
from sidecar.core.prefilter.search import prefilter_of
from sidecar.core.rule import ResolvePolicy, Rule
from sidecar.core.times import SECOND
from tests.core.odd_lines import lines
