"""A shop as the rules see it, for tests: two gates, two doors, fire, sirens, lock, cameras."""

from __future__ import annotations

from drivers import commands as c
from drivers import signals as s
from rules.calendar import Calendar, Schedule
from rules.model import DeviceWords, EvacuationPlan, World
from rules.words import device_words, site_words

ACTIVE = ("active", "quiet")
OUTPUT = ("on", "off")


def _gate(device: str, name: str, near: dict[str, tuple[str, ...]]) -> DeviceWords:
    said = (s.EasAlarm, s.EasEnded, s.EasMetal, s.EasJammer, s.EasTamper, s.EasCounterBlocked)
    return device_words(
        device,
        "eas_pedestal",
        name=name,
        says=(*said, s.EasDeactivated, s.EasVisitors, s.InputStuck, s.InputUnstuck),
        states={"alarm": ACTIVE, "input": ("ok", "stuck")},
        near=near,
        poll=0.02,
    )


def _door(device: str, name: str, near: dict[str, tuple[str, ...]]) -> DeviceWords:
    said = (s.DoorOpened, s.DoorClosed, s.DoorForced, s.DoorHeld)
    return device_words(
        device,
        "door",
        name=name,
        says=(*said, s.DoorRequestToExit, s.DoorRequestToExitEnded),
        states={
            "contact": ("open", "closed"),
            "forced": ("yes", "no"),
            "held": ("no", "warning", "held"),
            "request_to_exit": ACTIVE,
        },
        near=near,
        poll=0.02,
    )


def _output(device: str, kind: str, *, limit: float | None = None) -> DeviceWords:
    tells = {"siren": (c.Sound, c.Silence), "beacon": (c.SwitchOn, c.SwitchOff)}[kind]
    return device_words(
        device,
        kind,
        says=(s.OutputOn, s.OutputOff, s.OutputMismatch),
        states={"output": OUTPUT},
        accepts=tells,
        limits={tells[0].kind: limit} if limit else {},
        poll=0.02,
    )


SHOP_DEVICES = (
    site_words(["delivery"]),
    _gate("eas_front", "Front gates", {"cameras": ("cam_exit",), "siren": ("siren_front",)}),
    _gate("eas_back", "Back gates", {"cameras": ("cam_exit",), "siren": ("siren_front",)}),
    _door("door_front", "Front door", {}),
    _door("door_back", "Back door", {"siren": ("siren_back",)}),
    device_words(
        "fire_main",
        "fire_panel",
        name="Fire panel",
        says=(
            s.FireAlarm,
            s.FireRestored,
            s.FireTrouble,
            s.FireTroubleRestored,
            s.FireSupervisory,
            s.FireSupervisoryRestored,
            s.FireNotice,
        ),
        states=dict.fromkeys(("alarm", "trouble", "supervisory"), ("active", "normal")),
        poll=0.02,
    ),
    _output("siren_front", "siren", limit=120.0),
    _output("siren_back", "siren"),
    _output("beacon_back", "beacon"),
    device_words(
        "lock_exit",
        "lock",
        says=(s.LockReleased, s.LockLocked, s.OutputMismatch),
        states={"lock": ("locked", "released")},
        accepts=(c.Release, c.Relock),
        poll=0.02,
    ),
    device_words(
        "panic_till",
        "button",
        says=(s.ButtonPressed, s.ButtonReleased),
        states={"contact": ACTIVE},
        poll=0.02,
    ),
    device_words(
        "cam_exit", "onvif_camera", says=(s.CameraArrived,), accepts=(c.Goto, c.RecordClip)
    ),
    device_words(
        "cam_tills",
        "recorder",
        says=(s.RecordingConfirmed, s.RecordingMissing),
        accepts=(c.RecordClip,),
    ),
    device_words("pager_manager", "pager", accepts=(c.Send,)),
)

SHOP = World(
    devices={d.id: d for d in SHOP_DEVICES},
    groups={
        "exits": ("lock_exit",),
        "theft_sirens": ("siren_front",),
        "back_doors": ("door_back",),
        "gates": ("eas_front", "eas_back"),
        "mixed": ("eas_front", "panic_till"),
        "nobody": (),
    },
    zone="Europe/London",
    calendar=Calendar(
        zone="Europe/London",
        hours=Schedule(week={**dict.fromkeys(range(6), ((540, 1260),)), 6: ((600, 1080),)}),
        schedules={"delivery": Schedule(week=dict.fromkeys(range(5), ((360, 480), (840, 900))))},
    ),
    evacuation=EvacuationPlan(
        on=("fire_main",),
        release=("lock_exit",),
        silence=("siren_front",),
        sound=("beacon_back",),
        goto={"cam_exit": "evacuation"},
        record=("cam_exit", "cam_tills"),
        drill={"release": False, "sound": True, "record": True},
    ),
)
"""Two gates with a camera and a siren near, open 9-21 (Sunday 10-18), deliveries 6-8 and 14-15
on weekdays, an evacuation plan."""
