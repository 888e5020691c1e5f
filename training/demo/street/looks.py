"""How the simulator and the camera see the street: colours, textures, light, object mix, lens."""

from __future__ import annotations

from dataclasses import dataclass, field

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Mix:
    """What stands along the road, and how much of it."""

    building: float = 0.68  # shares of the lots, need not sum to 1
    park: float = 0.24
    side_street: float = 0.08
    floors: tuple[int, int] = (2, 5)
    lot_m: tuple[float, float] = (10.0, 17.0)
    tree_gap_m: tuple[float, float] = (9.0, 22.0)  # between street trees, on each side
    lamp_gap_m: tuple[float, float] = (20.0, 30.0)
    sign_gap_m: tuple[float, float] = (12.0, 30.0)
    bollard_runs: float = 0.15  # share of lots with a row of bollards
    fence: float = 0.6  # share of the parks behind a fence (else a hedge)
    parked: float = 0.36  # share of parking places taken
    lead_gap_m: tuple[float, float] = (22.0, 60.0)  # between cars in the own lane
    oncoming_gap_m: tuple[float, float] = (18.0, 50.0)
    persons_per_100m: float = 18.0
    crossing: float = 0.1  # share of the persons who cross the road
    vans: float = 0.15  # share of the cars


@dataclass(frozen=True)
class Palette:
    """Colours (RGB, 0..255) before haze, lens and sensor."""

    road: Color
    sidewalk: Color
    curb: Color
    marking: Color
    grass: Color
    sky_top: Color
    sky_low: Color
    cloud: Color
    haze: Color
    walls: tuple[Color, ...]
    roofs: tuple[Color, ...]
    glass: Color
    leaves: tuple[Color, ...]
    fence: tuple[Color, ...]
    post: Color
    cars: tuple[Color, ...]
    coats: tuple[Color, ...]
    trousers: tuple[Color, ...]


@dataclass(frozen=True)
class Light:
    """Sun and air."""

    shadow: float  # how dark cast shadows are, 0..1
    shadow_d: float  # shadow's sideways reach per metre of height (+ = to the right)
    shadow_s: float  # shadow's reach along the road per metre of height
    left_face: float  # light on faces of the left side's houses
    right_face: float
    front_face: float  # light on faces that look back at the camera
    haze_m: float  # see Canvas
    clouds: tuple[float, float]  # least and most cover of the sky, 0..1


@dataclass(frozen=True)
class Surface:
    """Texture statistics."""

    facades: tuple[str, ...]  # wall styles to draw from: 'plain', 'panel', 'brick', 'plaster'
    trees: tuple[str, ...]  # crown shapes to draw from
    road_grain: float  # strength of the asphalt's noise [share]
    slab_grain: float  # strength of the sidewalk's joints and noise [share]
    wear: float  # patches, cracks and faded markings, 0..1
    leaf_contrast: float
    leaf_density: float
    pitched_roofs: float  # share of houses with a pitched roof


@dataclass(frozen=True)
class Sensor:
    """Lens, sensor and compression between the world and an image."""

    exposure: float = 1.0
    balance: Color = (1.0, 1.0, 1.0)  # gain of red, green, blue
    saturation: float = 1.0
    gamma: float = 1.0  # > 1 darkens the middle tones
    lift: float = 0.0  # veiling glare: black is lifted to this share of white
    vignette: float = 0.0  # darkening in the corners [share]
    defocus_px: float = 0.0  # standard deviation at 1024 px image width
    shake_px: float = 0.0  # longest motion blur at 1024 px image width
    read_noise: float = 0.0  # standard deviation in black [grey levels]
    shot_noise: float = 0.0  # added standard deviation in white [grey levels]
    exposure_wander: float = 0.0  # how far automatic exposure moves along a drive [share]
    k1: float = 0.0  # radial distortion (plumb_bob)
    k2: float = 0.0


@dataclass(frozen=True)
class Look:
    """Everything in which one rendering of the street differs from another."""

    name: str
    palette: Palette
    light: Light
    surface: Surface
    mix: Mix
    sensor: Sensor = field(default_factory=Sensor)


SIMULATOR = Look(
    name='simulator',
    palette=Palette(
        road=(104, 105, 110),
        sidewalk=(176, 170, 164),
        curb=(200, 197, 192),
        marking=(236, 236, 232),
        grass=(112, 156, 72),
        sky_top=(86, 148, 214),
        sky_low=(196, 220, 238),
        cloud=(250, 252, 255),
        haze=(192, 212, 230),
        walls=(
            (214, 196, 168),
            (188, 176, 168),
            (206, 168, 148),
            (170, 182, 192),
            (222, 214, 200),
            (186, 158, 132),
            (200, 188, 150),
        ),
        roofs=((150, 82, 66), (112, 104, 104), (134, 96, 78)),
        glass=(92, 122, 150),
        leaves=((84, 140, 58), (70, 124, 56), (106, 152, 66)),
        fence=((158, 118, 82), (146, 148, 152)),
        post=(112, 118, 124),
        cars=(
            (196, 48, 44),
            (44, 86, 168),
            (228, 226, 220),
            (58, 60, 66),
            (232, 186, 52),
            (70, 132, 96),
            (150, 156, 162),
        ),
        coats=(
            (204, 62, 58),
            (52, 94, 176),
            (236, 200, 84),
            (92, 154, 96),
            (150, 92, 160),
            (226, 226, 222),
        ),
        trousers=((52, 62, 96), (80, 76, 72), (126, 108, 84)),
    ),
    light=Light(
        shadow=0.30,
        shadow_d=-0.22,
        shadow_s=0.18,
        left_face=1.02,
        right_face=0.9,
        front_face=0.95,
        haze_m=420.0,
        clouds=(0.2, 0.6),
    ),
    surface=Surface(
        facades=('plain', 'panel'),
        trees=('round', 'cone'),
        road_grain=0.035,
        slab_grain=0.05,
        wear=0.0,
        leaf_contrast=0.45,
        leaf_density=0.95,
        pitched_roofs=0.35,
    ),
    mix=Mix(),
)

CAMERA = Look(
    name='camera',
    palette=Palette(
        road=(112, 108, 104),
        sidewalk=(146, 138, 128),
        curb=(160, 154, 146),
        marking=(214, 210, 200),
        grass=(112, 116, 62),
        sky_top=(132, 166, 208),
        sky_low=(220, 224, 222),
        cloud=(246, 242, 236),
        haze=(214, 210, 204),
        walls=(
            (166, 92, 70),
            (184, 132, 92),
            (204, 182, 148),
            (142, 84, 70),
            (168, 150, 132),
            (190, 170, 120),
            (120, 112, 110),
        ),
        roofs=((132, 70, 52), (96, 66, 58), (84, 84, 90)),
        glass=(70, 80, 92),
        leaves=((94, 108, 46), (136, 124, 48), (72, 94, 46), (100, 110, 54), (164, 112, 44)),
        fence=((96, 82, 70), (82, 96, 84)),
        post=(72, 80, 78),
        cars=(
            (214, 214, 212),
            (38, 40, 44),
            (140, 144, 148),
            (66, 72, 84),
            (120, 36, 38),
            (38, 58, 96),
            (176, 170, 158),
        ),
        coats=(
            (52, 56, 66),
            (92, 84, 76),
            (124, 58, 54),
            (64, 82, 102),
            (40, 40, 44),
            (168, 154, 132),
        ),
        trousers=((40, 46, 66), (52, 50, 50), (92, 84, 74)),
    ),
    light=Light(
        shadow=0.42,
        shadow_d=0.75,
        shadow_s=0.55,
        left_face=0.74,
        right_face=1.1,
        front_face=0.98,
        haze_m=260.0,
        clouds=(0.45, 0.75),
    ),
    surface=Surface(
        facades=('brick', 'plaster'),
        trees=('wide', 'tall', 'round'),
        road_grain=0.085,
        slab_grain=0.09,
        wear=1.0,
        leaf_contrast=0.62,
        leaf_density=0.75,
        pitched_roofs=0.6,
    ),
    mix=Mix(
        building=0.66,
        park=0.24,
        side_street=0.1,
        floors=(2, 4),
        lot_m=(8.0, 14.0),
        tree_gap_m=(7.0, 18.0),
        lamp_gap_m=(24.0, 34.0),
        sign_gap_m=(14.0, 34.0),
        bollard_runs=0.25,
        fence=0.65,
        parked=0.45,
        lead_gap_m=(20.0, 50.0),
        oncoming_gap_m=(14.0, 40.0),
        persons_per_100m=26.0,
        crossing=0.14,
        vans=0.25,
    ),
    sensor=Sensor(
        exposure=1.12,
        balance=(1.06, 1.0, 0.90),
        saturation=0.94,
        gamma=1.1,
        lift=0.03,
        vignette=0.26,
        defocus_px=0.62,
        shake_px=2.2,
        read_noise=2.4,
        shot_noise=3.6,
        exposure_wander=0.10,
        k1=-0.16,
        k2=0.03,
    ),
)
