"""The examination: every check in turn, none of which stops the next one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hrda_core.classes import ClassSet, resolve_classes
from hrda_core.runtime import Runtime
from training.contact_sheet import Row
from training.data.class_stats import keep_statistics
from training.doctor.class_table import class_table, report_classes, statistics_of
from training.doctor.colours import colours_of, report_colours
from training.doctor.drives import report_drives
from training.doctor.duplicates import find_overlaps, report_overlaps
from training.doctor.evaluating import planned_evaluations, time_frame
from training.doctor.file_checks import report_files
from training.doctor.findings import Findings
from training.doctor.frame_facts import examine_set
from training.doctor.frame_sets import find_sets, learnt
from training.doctor.machine import report_disk, report_machine
from training.doctor.memory import report_memory
from training.doctor.network import Network, inspect_network
from training.doctor.report import Diagnosis
from training.doctor.scale import fitted, report_scale, usual_size
from training.doctor.sheet import Uint8Array, contact_sheet, crop_row, set_row
from training.doctor.speed import (
    Loaded,
    Speed,
    estimate_speed,
    first_crops,
    load_batches,
    report_speed,
)
from training.evaluation.scores import ConfusionMatrix
from training.progress import Display
from training.settings.run import TrainSettings


def examine(
    settings: TrainSettings, display: Display, *, quick: bool = False, timed: bool = True
) -> Diagnosis:
    """Look at everything that a run depends on.

    Args:
        settings: of the run, with absolute paths.
        display: where progress is shown.
        quick: read the headers of files alone.
        timed: take a few real steps and time them.
    """
    findings = Findings()
    diagnosis = Diagnosis(settings, findings)
    runtime = report_machine(settings, findings)
    classes: ClassSet | None = None
    with findings.kept('classes'):
        classes = resolve_classes(settings.classes)
    if classes is None:
        return diagnosis
    if settings.validation is not None:
        with findings.kept('validation', 'mend validation.merge and validation.score'):
            ConfusionMatrix(classes, settings.validation.merge, settings.validation.score)
    _look_at_data(diagnosis, classes, quick, display)
    network = inspect_network(settings, classes, findings)
    if network is not None:
        _estimate_sizes(diagnosis, network)
    loaded = _first_batches(diagnosis, classes, display)
    if network is not None and runtime is not None:
        fits = _estimate_memory(diagnosis, runtime, display)
        if timed and fits and loaded is not None:
            _estimate_time(diagnosis, network, runtime, loaded, display)
    diagnosis.sheet = _sheet(diagnosis, classes, loaded)
    return diagnosis


def _look_at_data(diagnosis: Diagnosis, classes: ClassSet, quick: bool, display: Display) -> None:
    settings, findings = diagnosis.settings, diagnosis.findings
    sets = diagnosis.sets = find_sets(settings, classes, findings)
    for each in sets:
        diagnosis.facts[each.role] = examine_set(each, quick, display)
        report_files(each, diagnosis.facts[each.role], findings)
    report_scale(settings, sets, diagnosis.facts, findings)
    diagnosis.drives = report_drives(sets, findings)
    if quick:
        findings.note('--quick', 'pixels were not looked at: no histogram, no repeated frames')
        return
    _look_at_classes(diagnosis, classes)
    colours = {each.role: colours_of(diagnosis.facts[each.role]) for each in sets}
    diagnosis.colours = {role: own for role, own in colours.items() if own is not None}
    report_colours(diagnosis.colours, findings)
    diagnosis.overlaps = find_overlaps(sets, diagnosis.facts)
    report_overlaps(diagnosis.overlaps, sets, findings)


def _look_at_classes(diagnosis: Diagnosis, classes: ClassSet) -> None:
    settings, sets = diagnosis.settings, diagnosis.sets
    found = {each.role: statistics_of(diagnosis.facts[each.role]) for each in sets}
    statistics = {role: own for role, own in found.items() if own is not None}
    if not statistics:
        return
    roles = [each.role for each in learnt(sets)]
    diagnosis.classes = class_table(settings, classes, sets, statistics)
    report_classes(settings, diagnosis.classes, roles, diagnosis.findings)
    if diagnosis.findings.count('error'):
        return
    for each in sets:
        # Training counts the same; it need not do so again.
        if each.labelled is not None and each.role in roles:
            keep_statistics(each.labelled, statistics[each.role])


def _estimate_sizes(diagnosis: Diagnosis, network: Network) -> None:
    disk = report_disk(diagnosis.settings, network, diagnosis.findings)
    diagnosis.estimates['network'] = f'{network.parameters / 1e6:.1f} M weights'
    diagnosis.estimates['disk'] = (
        f'up to {disk / 1e9:.2f} GB in the run folder, {network.state_bytes / 1e9:.2f} GB of it '
        'per saved state'
    )


def _estimate_memory(diagnosis: Diagnosis, runtime: Runtime, display: Display) -> bool:
    diagnosis.estimates['device'] = runtime.reason
    display.say('estimating memory')
    with diagnosis.findings.kept('memory'):
        text, fits = report_memory(diagnosis.settings, runtime, diagnosis.findings)
        diagnosis.estimates['memory'] = text
        return fits
    return False


def _first_batches(diagnosis: Diagnosis, classes: ClassSet, display: Display) -> Loaded | None:
    if diagnosis.findings.count('error'):
        diagnosis.findings.note('crops', 'no crops and no time, since there are errors')
        return None
    with diagnosis.findings.kept('crops'):
        return load_batches(diagnosis.settings, classes, display)
    return None


def _estimate_time(
    diagnosis: Diagnosis, network: Network, runtime: Runtime, loaded: Loaded, display: Display
) -> None:
    settings = diagnosis.settings
    with diagnosis.findings.kept('time', 'choose a smaller loop.batch_size or model.context_size'):
        speed = estimate_speed(network.method, settings, runtime, loaded, display)
        speed = _with_evaluations(speed, diagnosis, network, runtime)
        diagnosis.speed = speed
        diagnosis.estimates['loading'] = f'{1 / loaded.image_s:.3g} images per second and process'
        diagnosis.estimates['time'] = speed.sentence()
        report_speed(speed, settings, loaded, diagnosis.findings)


def _with_evaluations(
    speed: Speed, diagnosis: Diagnosis, network: Network, runtime: Runtime
) -> Speed:
    settings = diagnosis.settings
    role = 'target' if settings.validation is None else 'validation'
    facts = diagnosis.facts.get(role, ())
    has_teacher = getattr(network.method, 'teacher', None) is not None
    looks, size = planned_evaluations(settings, len(facts), teacher=has_teacher), usual_size(facts)
    if looks is None or size is None:
        return speed
    frame_s = time_frame(network.method, settings, runtime, size)
    return replace(
        speed, evaluations=looks.times, evaluation_s=looks.frames * looks.networks * frame_s
    )


def _sheet(diagnosis: Diagnosis, classes: ClassSet, loaded: Loaded | None) -> Uint8Array | None:
    rows: list[Row] = []
    for each in diagnosis.sets:
        usual = usual_size(diagnosis.facts[each.role])
        size = '' if usual is None else ', {}x{} px'.format(*usual)
        resized = (
            ''
            if usual is None or each.size is None
            else ', resized to {}x{}'.format(*fitted(each, usual))
        )
        rows.append(set_row(each, f'{len(each)} frames{size}{resized}'))
    for role in ('source', 'target'):
        crops = [] if loaded is None else first_crops(loaded, role)
        if crops:
            rows.append(crop_row(role, crops, classes))
    if not rows:
        return None
    title = f'hrda doctor: {Path(diagnosis.settings.output).name}'
    return contact_sheet(title, rows, classes)
