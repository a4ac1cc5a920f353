"""Simple line drawings of places and things, as backgrounds."""

import numpy as np

from egara.demo.grounds import Canvas, gradient_tone, plain_tone


def room(rng: np.random.Generator, height: int, width: int, unit: float) -> Canvas:
    """Return a room in one-point perspective with a window, a door, a shelf or a picture."""
    canvas, pen = _sheet(rng, height, width, unit)
    x, y = width * rng.uniform(0.3, 0.7), height * rng.uniform(0.3, 0.55)
    across, down = width * rng.uniform(0.22, 0.34), height * rng.uniform(0.2, 0.3)
    back = np.array([[x - across, y - down], [x + across, y - down], [x + across, y + down], [x - across, y + down]])
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    if rng.random() < 0.5:
        pen.fill([back[3], back[2], corners[2], corners[3]], int(rng.choice([200, 225, 150])))
    pen.line(back, closed=True)
    for near, far in zip(corners, back, strict=True):
        pen.line([near, far])
    for share in np.linspace(0, 1, int(rng.integers(5, 12)))[1:-1]:
        pen.line([back[3] + share * (back[2] - back[3]), corners[3] + (1.8 * share - 0.4) * (corners[2] - corners[3])])
    box = _within(rng, back)
    if rng.random() < 0.6:
        _pane(rng, pen, box)
    else:
        pen.line(box, closed=True)
        pen.ellipse(box.mean(axis=0), np.ptp(box, axis=0) * 0.3)
    side = rng.integers(0, 2)
    wall = [corners[0], back[0], back[3], corners[3]] if side else [corners[1], back[1], back[2], corners[2]]
    _frame_on_wall(rng, pen, np.array(wall))
    return canvas


def window(rng: np.random.Generator, height: int, width: int, unit: float) -> Canvas:
    """Return a wall with a large window, sometimes with curtains and tone behind the glass."""
    canvas, pen = _sheet(rng, height, width, unit)
    if rng.random() < 0.6:
        canvas[:] = np.maximum(plain_tone(rng, height, width, unit), 40)
    left, right = sorted(width * rng.uniform([0.05, 0.55], [0.4, 0.95]))
    top, bottom = height * rng.uniform(0.05, 0.2), height * rng.uniform(0.6, 0.9)
    box = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    _pane(rng, pen, box)
    if rng.random() < 0.5:
        for edge, sign in ((left, 1), (right, -1)):
            folds = np.linspace(0, (right - left) * rng.uniform(0.12, 0.25), 5)
            cloth = [
                (edge - sign * 8, top - 8),
                (edge + sign * folds[-1], top - 8),
                (edge + sign * folds[-1] * 0.6, bottom),
            ]
            pen.fill([*cloth, (edge - sign * 8, bottom)], 255)
            for fold in folds:
                pen.line([(edge + sign * fold, top - 8), (edge + sign * fold * 0.6, bottom)])
    return canvas


def trees(rng: np.random.Generator, height: int, width: int, unit: float) -> Canvas:
    """Return trees on a horizon under clouds."""
    canvas, pen = _sheet(rng, height, width, unit)
    if rng.random() < 0.4:
        canvas[:] = gradient_tone(rng, height, width, unit)
    _clouds(rng, pen, width, height * 0.45)
    horizon = height * rng.uniform(0.55, 0.8)
    pen.fill([(0, horizon), (width, horizon), (width, height), (0, height)], 255)
    pen.line([(0, horizon), (width, horizon + rng.uniform(-10, 10))])
    for x in rng.uniform(0, width, int(rng.integers(2, 7))):
        size = rng.uniform(0.12, 0.4) * height
        foot = horizon + rng.uniform(0, 0.15) * height
        trunk = size * 0.08
        pen.fill(
            [(x - trunk, foot), (x - trunk * 0.7, foot - size), (x + trunk * 0.7, foot - size), (x + trunk, foot)], 120
        )
        crown = _lobes(rng, (x, foot - size), (size * rng.uniform(0.35, 0.6), size * rng.uniform(0.4, 0.6)), 11)
        pen.fill(crown, int(rng.choice([255, 255, 30, 130])))
        pen.line(crown, closed=True)
    for _ in range(30):
        x, y = rng.uniform(0, width), rng.uniform(horizon, height)
        pen.line([(x, y), (x + rng.uniform(-4, 4) * unit, y - rng.uniform(6, 16) * unit)])
    return canvas


def buildings(rng: np.random.Generator, height: int, width: int, unit: float) -> Canvas:
    """Return a row of houses with windows, poles and wires."""
    canvas, pen = _sheet(rng, height, width, unit)
    if rng.random() < 0.5:
        canvas[:] = gradient_tone(rng, height, width, unit)
    _clouds(rng, pen, width, height * 0.4)
    x = -rng.uniform(0, 60) * unit
    while x < width:
        across = rng.uniform(80, 230) * unit
        top = height * rng.uniform(0.1, 0.6)
        pen.fill([(x, top), (x + across, top), (x + across, height), (x, height)], int(rng.choice([255, 255, 215, 60])))
        pen.line([(x, top), (x + across, top), (x + across, height), (x, height)], closed=True)
        pitch = rng.uniform(1.1, 1.5)
        step, glass = rng.uniform(26, 50) * unit, int(rng.choice([0, 255, 170, 90]))
        for left in np.arange(x + step * 0.4, x + across - step * 0.7, step):
            for upper in np.arange(top + step * 0.5, height, step * pitch):
                pane = [(left, upper), (left + step * 0.55, upper), (left + step * 0.55, upper + step * 0.7)]
                pane.append((left, upper + step * 0.7))
                pen.fill(pane, glass)
                pen.line(pane, closed=True)
        x += across + rng.choice([0, 0, 20]) * unit
    for _ in range(int(rng.integers(0, 4))):
        y = height * rng.uniform(0.02, 0.4)
        shares = np.linspace(0, 1, 20)
        pen.line(np.stack([shares * width, y + 60 * unit * shares * (1 - shares) * 4], axis=1))
    return canvas


def things(rng: np.random.Generator, height: int, width: int, unit: float) -> Canvas:
    """Return a close-up of a few things: clock, ball, cup, lamp, eggs, book, moon, wheel, buttons."""
    canvas, pen = _sheet(rng, height, width, unit)
    if rng.random() < 0.6:
        canvas[:] = (plain_tone if rng.random() < 0.5 else gradient_tone)(rng, height, width, unit)
    for _ in range(int(rng.integers(1, 5))):
        centre = np.array([width, height]) * rng.uniform(0.2, 0.8, 2)
        radius = min(height, width) * rng.uniform(0.12, 0.4)
        THINGS[int(rng.integers(len(THINGS)))](rng, pen, centre, radius)
    return canvas


def _clock(rng: np.random.Generator, pen: "Pen", centre: np.ndarray, radius: float) -> None:
    pen.disc(centre, (radius, radius))
    pen.disc(centre, (radius * 0.88, radius * 0.88))
    for turn in np.arange(12) * np.pi / 6:
        way = np.array([np.cos(turn), np.sin(turn)])
        pen.line([centre + way * radius * 0.72, centre + way * radius * 0.82])
    for length in (0.4, 0.65):
        turn = rng.uniform(0, 2 * np.pi)
        pen.line([centre, centre + radius * length * np.array([np.cos(turn), np.sin(turn)])])


def _ball(rng: np.random.Generator, pen: "Pen", centre: np.ndarray, radius: float) -> None:
    pen.disc(centre, (radius, radius), int(rng.choice([255, 255, 190, 20])))
    pen.arc(centre + radius * 0.5, radius, 180, 270)
    pen.arc(centre - radius * 0.6, radius, 0, 80)


def _oval(rng: np.random.Generator, pen: "Pen", centre: np.ndarray, radius: float) -> None:
    for shift in range(int(rng.integers(1, 4))):
        pen.disc(centre + shift * radius * 0.8, (radius * rng.uniform(0.5, 0.9), radius), 255, rng.uniform(-40, 40))


def _cup(rng: np.random.Generator, pen: "Pen", centre: np.ndarray, radius: float) -> None:
    x, y = centre
    pen.ellipse((x + radius * 0.85, y), (radius * 0.4, radius * 0.4))
    body = [(x - radius * 0.8, y - radius), (x + radius * 0.8, y - radius), (x + radius * 0.6, y + radius)]
    pen.fill([*body, (x - radius * 0.6, y + radius)], 255)
    pen.line([*body, (x - radius * 0.6, y + radius)], closed=True)
    pen.disc((x, y - radius), (radius * 0.8, radius * 0.25), int(rng.choice([255, 60, 170])))


def _lamp(rng: np.random.Generator, pen: "Pen", centre: np.ndarray, radius: float) -> None:
    x, y = centre
    shade = [(x - radius * 0.4, y - radius), (x + radius * 0.4, y - radius), (x + radius, y), (x - radius, y)]
    pen.fill(shade, int(rng.choice([255, 190])))
    pen.line(shade, closed=True)
    pen.line([(x, y), (x, y + radius)])
    pen.disc((x, y + radius), (radius * 0.6, radius * 0.15))


def _book(rng: np.random.Generator, pen: "Pen", centre: np.ndarray, radius: float) -> None:
    x, y = centre
    for sign in (-1, 1):
        leaf = [(x, y - radius * 0.5), (x + sign * radius, y - radius * 0.7), (x + sign * radius, y + radius * 0.5)]
        pen.fill([*leaf, (x, y + radius * 0.7)], 255)
        pen.line([*leaf, (x, y + radius * 0.7)], closed=True)
        for share in np.linspace(0.1, 0.9, 7):
            pen.line(
                [
                    (x + sign * radius * 0.15, y - radius * 0.45 + share * radius),
                    (x + sign * radius * 0.85, y - radius * 0.6 + share * radius),
                ]
            )


def _moon(rng: np.random.Generator, pen: "Pen", centre: np.ndarray, radius: float) -> None:
    pen.disc(centre, (radius, radius), 255)
    for _ in range(6):
        spot = centre + radius * 0.6 * rng.uniform(-1, 1, 2)
        pen.ellipse(spot, radius * rng.uniform(0.05, 0.2) * np.array([1, 0.8]))


def _wheel(rng: np.random.Generator, pen: "Pen", centre: np.ndarray, radius: float) -> None:
    pen.disc(centre, (radius, radius), 30)
    pen.disc(centre, (radius * 0.7, radius * 0.7), 255)
    for turn in np.linspace(0, 2 * np.pi, int(rng.integers(5, 12)), endpoint=False):
        pen.line([centre, centre + radius * 0.7 * np.array([np.cos(turn), np.sin(turn)])])
    pen.disc(centre, (radius * 0.2, radius * 0.2), 255)


def _socket(rng: np.random.Generator, pen: "Pen", centre: np.ndarray, radius: float) -> None:
    """Draw a plate with holes or knobs, which must not be detected as a face."""
    box = centre + radius * 0.8 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    pen.fill(box, 255)
    pen.line(box, closed=True)
    for spot in rng.uniform(-0.5, 0.5, (int(rng.integers(1, 6)), 2)) * radius:
        pen.disc(centre + spot, (radius * 0.1, radius * 0.1), int(rng.choice([0, 255])))


THINGS = (_clock, _ball, _oval, _oval, _cup, _lamp, _book, _moon, _wheel, _socket)


class Pen:
    """Draws on a canvas with one line width, at sub-pixel accuracy."""

    def __init__(self, canvas: Canvas, width: int) -> None:
        self.canvas, self.width = canvas, width

    def line(self, points: np.ndarray | list, closed: bool = False) -> None:
        """Draw a line through the points."""
        import cv2

        cv2.polylines(self.canvas, [_fixed(points)], closed, 0, self.width, cv2.LINE_AA, 4)

    def fill(self, points: np.ndarray | list, value: int) -> None:
        """Fill a polygon with a grey value."""
        import cv2

        cv2.fillPoly(self.canvas, [_fixed(points)], value, cv2.LINE_AA, 4)

    def disc(self, centre: tuple, radii: tuple, value: int = 255, turn: float = 0.0) -> None:
        """Draw a filled oval with its outline, turned by `turn` degrees."""
        outline = _oval_points(centre, radii, turn)
        self.fill(outline, value)
        self.line(outline, closed=True)

    def ellipse(self, centre: tuple, radii: tuple, turn: float = 0.0) -> None:
        """Draw the outline of an oval, turned by `turn` degrees."""
        self.line(_oval_points(centre, radii, turn), closed=True)

    def arc(self, centre: np.ndarray, radius: float, start: float, end: float) -> None:
        """Draw an arc from `start` to `end` degrees."""
        turns = np.radians(np.linspace(start, end, 24))
        self.line(np.asarray(centre) + radius * np.stack([np.cos(turns), np.sin(turns)], axis=1))


def _fixed(points: np.ndarray | list) -> np.ndarray:
    return np.round(np.asarray(points, float) * 16).astype(np.int32)


def _oval_points(centre: tuple, radii: tuple, turn: float) -> np.ndarray:
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    points = np.stack([radii[0] * np.cos(turns), radii[1] * np.sin(turns)], axis=1)
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return np.asarray(centre) + points @ np.array([[cos, sin], [-sin, cos]])


def _lobes(rng: np.random.Generator, centre: tuple, radii: tuple, count: int) -> np.ndarray:
    """Return the outline of a cloud: an oval with `count` round lobes."""
    turns = np.linspace(0, 2 * np.pi, count * 10, endpoint=False)
    bump = 1 + 0.16 * np.abs(np.sin(turns * count / 2 + rng.uniform(0, 3)))
    return np.asarray(centre) + np.stack([radii[0] * bump * np.cos(turns), radii[1] * bump * np.sin(turns)], axis=1)


def _sheet(rng: np.random.Generator, height: int, width: int, unit: float) -> tuple[Canvas, Pen]:
    canvas = np.full((height, width), 255, np.uint8)
    return canvas, Pen(canvas, max(1, round(rng.uniform(0.8, 2.2) * unit)))


def _within(rng: np.random.Generator, quad: np.ndarray) -> np.ndarray:
    low, span = quad.min(axis=0), np.ptp(quad, axis=0)
    start, end = rng.uniform(0.08, 0.4, 2), rng.uniform(0.6, 0.92, 2)
    (left, top), (right, bottom) = low + start * span, low + end * span
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _pane(rng: np.random.Generator, pen: Pen, box: np.ndarray) -> None:
    pen.fill(box, int(rng.choice([255, 255, 225, 30])))
    pen.line(box, closed=True)
    inner = box.mean(axis=0) + 0.92 * (box - box.mean(axis=0))
    pen.line(inner, closed=True)
    middle = inner.mean(axis=0)
    pen.line([(middle[0], inner[0, 1]), (middle[0], inner[2, 1])])
    if rng.random() < 0.6:
        pen.line([(inner[0, 0], middle[1]), (inner[1, 0], middle[1])])


def _frame_on_wall(rng: np.random.Generator, pen: Pen, wall: np.ndarray) -> None:
    """Draw a door or picture on a side `wall`, whose corners are near top, far top, far bottom, near bottom."""
    start, end = rng.uniform(0.1, 0.35), rng.uniform(0.55, 0.85)
    top, bottom = rng.uniform(0.12, 0.4), rng.choice([1.0, rng.uniform(0.5, 0.8)])
    points = []
    for along, down in ((start, top), (end, top), (end, bottom), (start, bottom)):
        upper, lower = wall[0] + along * (wall[1] - wall[0]), wall[3] + along * (wall[2] - wall[3])
        points.append(upper + down * (lower - upper))
    pen.fill(points, int(rng.choice([255, 210, 160])))
    pen.line(points, closed=True)


def _clouds(rng: np.random.Generator, pen: Pen, width: float, height: float) -> None:
    for _ in range(int(rng.integers(0, 4))):
        centre = rng.uniform(0, width), rng.uniform(0, height)
        outline = _lobes(rng, centre, (rng.uniform(0.08, 0.25) * width, rng.uniform(0.1, 0.25) * height), 9)
        pen.fill(outline, 255)
        pen.line(outline, closed=True)
