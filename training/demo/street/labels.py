"""The class set of the street world and its train ids by name."""

from __future__ import annotations

from pathlib import Path

from hrda_core.classes import ClassSet

CLASSES_FILE = Path(__file__).parents[1] / 'classes.yaml'
STREET_CLASSES = ClassSet.from_yaml(CLASSES_FILE)

ROAD = STREET_CLASSES.index('road')
SIDEWALK = STREET_CLASSES.index('sidewalk')
BUILDING = STREET_CLASSES.index('building')
FENCE = STREET_CLASSES.index('fence')
POLE = STREET_CLASSES.index('pole')
SIGN = STREET_CLASSES.index('traffic sign')
VEGETATION = STREET_CLASSES.index('vegetation')
SKY = STREET_CLASSES.index('sky')
PERSON = STREET_CLASSES.index('person')
CAR = STREET_CLASSES.index('car')
