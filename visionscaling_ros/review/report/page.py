"""Writes the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bokeh.resources import Resources
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.review.recorded_run import RecordedRun, read_runs
from visionscaling_ros.review.report.bags_of_run import bags_of_run
from visionscaling_ros.review.report.run_view import RunView
from visionscaling_ros.review.report.section import Section, make_section
from visionscaling_ros.review.report.side_records import SideRecords, read_side_records
from visionscaling_ros.watch.words import plain_name
from visionscaling_ros.whole_file import whole_file

_FOLDER = Path(__file__).resolve().parent


def write_report(
    source: str | Path,
    out: Path,
    *,
    namespace: str | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> int:
    """One HTML file of every run in a bag or in the folder of a run; returns how many runs.

    :param namespace: only this robot's.
    :param on_step: told what is being done.
    :raises InvalidValueError: there is no bag with a run, or the file cannot be written.
    """
    sections: list[Section] = []
    paths = bags_of_run(source)
    for path in paths:
        on_step(f'reading the slots of {path.name}')
        runs = read_runs(path, namespace)
        on_step(f'reading frames, GPU and link of {path.name}')
        side = read_side_records(path, namespace)
        for run in runs:
            on_step(f'drawing {_title(run, runs)} of {path.name}')
            view = RunView.of(run, side.get(run.namespace, SideRecords()))
            title = _title(run, runs)
            if len(paths) > 1:
                title = f'{plain_name(path.name)}: {title}'
            sections.append(make_section(view, f'run-{len(sections)}', title))
    on_step(f'writing {out.name}')
    text = page_of(plain_name(Path(source).resolve().name), sections)
    try:
        with whole_file(out) as partial:
            partial.write_text(text, encoding='utf-8')
    except OSError as error:
        raise InvalidValueError('out', str(out), f'a file to write ({error})') from error
    return len(sections)


def _title(run: RecordedRun, runs: tuple[RecordedRun, ...]) -> str:
    robot = 'The robot' if run.namespace == '/' else f'Robot {plain_name(run.namespace)}'
    own = [other for other in runs if other.namespace == run.namespace]
    if len(own) == 1:
        return robot
    number = next(n for n, other in enumerate(own, 1) if other is run)
    return f'{robot}, activation {number} of {len(own)}'


def page_of(name: str, sections: list[Section]) -> str:
    """The page, as text; ``name`` is its heading."""
    # everything that is put in is escaped, but for what is marked
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template('page.html').render(
        name=name,
        sections=sections,
        style=Markup((_FOLDER / 'style.css').read_text(encoding='utf-8')),
        script=Markup((_FOLDER / 'page.js').read_text(encoding='utf-8')),
        bokeh=Markup('\n'.join(_bokeh_scripts())),
        safe=Markup,
    )


def _bokeh_scripts() -> list[str]:
    """BokehJS without the parts that no figure here uses, as it came with the installed Bokeh."""
    return Resources(mode='inline', components=['bokeh'], minified=True).js_raw
