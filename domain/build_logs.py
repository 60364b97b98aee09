"""Logs of a build: what the composer tells of its pipelines and stages, for reading and as JSON.

The composer's `image_builds` are results of osbuild. Their shape is no part of its contract: whatever has another shape
is shown as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from domain.masking import mask_document, secrets_of_request, text_masker

# Default limit of the logs in an answer, in bytes (setting MAX_LOG_BYTES).
LARGEST_LOGS: Final = 4 * 1024 * 1024
_RULE: Final = "-" * 72
# Characters of the mark that says how much is left out: a text that is hardly longer than allowed is not cut.
_MARK_SIZE: Final = 50
# Control characters could change what a terminal shows; line breaks and tabulators are kept.
_CONTROL: Final = {*range(32), *range(127, 160)} - {ord("\t"), ord("\n")}
_PRINTABLE: Final = dict.fromkeys(_CONTROL, "\N{REPLACEMENT CHARACTER}")


@dataclass(frozen=True, slots=True)
class _Section:
    """A part of the text; `failed`: of a stage, or a whole build, that failed."""

    title: str
    text: str
    failed: bool


@dataclass(frozen=True, slots=True)
class BuildLogs:
    """The logs of a build without secrets, `image_builds` as in the composer's ComposeLogs."""

    image_builds: Sequence[Mapping[str, Any]]

    @classmethod
    def masked(cls, image_builds: Sequence[Mapping[str, Any]], request: str) -> BuildLogs:
        """Mask the secrets of the build's request, which is JSON, and all that look like secrets."""
        return cls(mask_document(list(image_builds), text_masker(secrets_of_request(request))))

    def as_text(self, largest: int) -> str:
        """The logs for reading, of about `largest` bytes at most: failed stages are the last ones, and marked.

        The middle of longer logs is left out, and the place is marked.
        """
        if not self.image_builds:
            return "The build has no logs yet.\n"
        sections = [section for number, build in enumerate(self.image_builds, 1) for section in self._of(number, build)]
        sections.sort(key=lambda section: section.failed)
        texts = (f"{each.title}\n{_RULE}\n{each.text.rstrip()}\n" for each in sections)
        return cut_middle("\n".join(texts).replace("\r\n", "\n").translate(_PRINTABLE), largest)

    def as_document(self, largest: int) -> dict[str, Any]:
        """The logs as JSON, with texts of about `largest` bytes at most: the middle of the longest is left out.

        If they have so many values that this does not suffice, they are one text, the beginning and end of the JSON.
        """
        longest = _longest_text([len(text) for text in _texts(self.image_builds)], largest)
        shortened = _shortened(
            self.image_builds, lambda text: text if len(text) < longest + _MARK_SIZE else cut_middle(text, longest)
        )
        as_json = json.dumps(shortened, ensure_ascii=False)
        if len(as_json) > 2 * largest:
            return {"image_builds": [{"text": cut_middle(as_json, largest)}]}
        return {"image_builds": shortened}

    def _of(self, number: int, build: Mapping[str, Any]) -> Iterator[_Section]:
        image = f"Image {number} of {len(self.image_builds)}, " if len(self.image_builds) > 1 else ""
        result = build.get("osbuild_output")
        result = result if isinstance(result, Mapping) else {}
        pipelines = result.get("log")
        if not isinstance(pipelines, Mapping):
            yield _Section(f"{image}result", _format(build), failed=build.get("success") is False)
            return
        for pipeline, stages in pipelines.items():
            for stage in stages if isinstance(stages, list) else [stages]:
                yield _stage(f"{image}pipeline {pipeline}", stage)
        for name in ("job_error", "error"):
            error = build.get(name) if name == "job_error" else result.get(name)
            if error:
                yield _Section(f"{image}error", _format(error), failed=True)


def cut_middle(text: str, largest: int) -> str:
    """`text` with at most about `largest` bytes: its beginning and its end, and between them how much is left out."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= largest:
        return text
    half = largest // 2
    begin = encoded[:half].decode("utf-8", "ignore")
    end = encoded[len(encoded) - half :].decode("utf-8", "ignore")
    return f"{begin}\n[... {len(encoded) - 2 * half} bytes left out ...]\n{end}"


def _stage(place: str, stage: Any) -> _Section:
    if not isinstance(stage, Mapping):
        return _Section(place, _format(stage), failed=False)
    name = stage.get("type") or stage.get("name") or stage.get("id") or "stage"
    duration = stage.get("duration")
    took = f" ({duration:.1f} s)" if isinstance(duration, int | float) else ""
    failed = stage.get("success") is False
    output = stage.get("output")
    text = output if isinstance(output, str) else _format(output)
    if stage.get("error"):
        text = f"{text.rstrip()}\n{_format(stage['error'])}"
    return _Section(f"{'FAILED: ' if failed else ''}{place}, stage {name}{took}", text, failed)


def _format(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _texts(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, Mapping | list | tuple):
        for each in document.values() if isinstance(document, Mapping) else document:
            yield from _texts(each)


def _shortened(document: Any, cut: Callable[[str], str]) -> Any:
    if isinstance(document, str):
        return cut(document)
    if isinstance(document, Mapping):
        return {name: _shortened(each, cut) for name, each in document.items()}
    return [_shortened(each, cut) for each in document] if isinstance(document, list | tuple) else document


def _longest_text(lengths: Sequence[int], largest: int) -> int:
    """The length up to which texts are kept, so that all together have at most `largest`."""
    left = largest
    for rest, length in zip(range(len(lengths), 0, -1), sorted(lengths), strict=True):
        if length * rest > left:
            return max(left // rest, 1)
        left -= length
    return largest
