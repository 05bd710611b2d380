"""Sound: files, the encoder, folders of recordings, and spoken digits."""

import io
import tarfile

import numpy as np
import pytest
from scipy.io import wavfile

from brainleaks.data import DATASETS, fsdd
from brainleaks.data.cochlea import Cochlea
from brainleaks.data.own import OwnData, load_own
from brainleaks.data.sound_files import decode_sound
from brainleaks.errors import InputError

RATE = 8_000


def tone(hertz, seconds=0.3, start=0.0, rate=RATE):
    t = np.arange(round(rate * (start + seconds))) / rate
    return (np.sin(2 * np.pi * hertz * t) * (t >= start) * 20_000).astype(np.int16)


def wav(samples, rate=RATE):
    buffer = io.BytesIO()
    wavfile.write(buffer, rate, samples)
    return buffer.getvalue()


@pytest.mark.parametrize("hertz", [300, 1000, 2500])
def test_a_tone_fires_the_channel_of_its_frequency_when_it_sounds(hertz):
    cochlea = Cochlea(RATE, steps=60)
    spikes = cochlea.spikes(tone(hertz, seconds=0.3, start=0.2))
    mel = 2595 * np.log10(1 + np.array([60, RATE / 2, hertz]) / 700)
    expected = (mel[2] - mel[0]) / (mel[1] - mel[0]) * 41 - 1
    assert abs(spikes.sum(0).argmax() - expected) <= 1
    when = np.flatnonzero(spikes.max(1))
    assert 19 <= when[0] <= 22
    assert 47 <= when[-1] <= 52
    assert set(np.unique(spikes)) == {0, 1}


def test_loudness_does_not_matter_and_silence_is_silent():
    cochlea, sound = Cochlea(RATE), tone(700)
    assert np.array_equal(cochlea.spikes(sound), cochlea.spikes(0.01 * sound))
    assert not cochlea.spikes(np.zeros(4000)).any()
    assert cochlea.spikes(sound[:3]).shape == cochlea.spikes(np.tile(sound, 9)).shape == (80, 40)


def test_neurons_integrate_and_leak():
    cochlea = Cochlea(RATE, leak=0.5)
    level, membrane = cochlea.levels(tone(700)), np.zeros(40)
    for now, fired in zip(level, cochlea.spikes(tone(700)), strict=True):
        membrane = 0.5 * membrane + now
        assert np.array_equal(fired, membrane >= 1)
        membrane = np.where(fired, membrane - 1, membrane)


def test_spikes_become_a_sound_with_nearly_their_levels():
    draw, cochlea = np.random.default_rng(0), Cochlea(RATE)
    sweep = np.sin(np.cumsum(2 * np.pi * np.linspace(200, 3000, 5000) / RATE))
    sound = sweep + 0.05 * draw.normal(size=5000)
    back = cochlea.sound(cochlea.spikes(sound))
    assert back.dtype == np.float32
    assert np.abs(back).max() == pytest.approx(1)
    found = np.corrcoef(cochlea.levels(back).ravel(), cochlea.levels(sound).ravel())[0, 1]
    assert found > 0.85


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float32])
def test_samples_of_every_kind_are_read(kind):
    wave = np.sin(np.arange(800) / 9)
    whole = {np.uint8: 127 * wave + 128, np.int16: 3e4 * wave, np.int32: 2e9 * wave}
    sound = decode_sound("x.wav", wav(whole.get(kind, wave).astype(kind)), RATE)
    assert sound.rate == RATE
    assert np.corrcoef(sound.samples, wave)[0, 1] > 0.999
    assert abs(sound.samples.mean()) < 0.02 * np.abs(sound.samples).max()


WRONG = {
    "another rate": (wav(tone(300, rate=16_000), 16_000), "16,000 Hz; the others have 8,000 Hz"),
    "stereo": (wav(np.stack([tone(300)] * 2, 1)), "has 2 channels; expected one"),
    "silent": (wav(np.zeros(800, np.int16)), "is silent"),
    "silent, eight bits": (wav(np.full(800, 128, np.uint8)), "is silent"),
    "no samples": (wav(np.zeros(0, np.int16)), "holds no sound"),
    "empty": (b"", "damaged, truncated or not a WAV file"),
    "truncated": (wav(tone(300))[:-500], "damaged, truncated or not a WAV file"),
    "in its header": (wav(tone(300))[:30], "damaged, truncated or not a WAV file"),
    "text": (b"RIFFxxxxWAVEno sound at all", "damaged, truncated or not a WAV file"),
    "nan": (wav(np.full(800, np.nan, np.float32)), "contains NaN"),
    "rate of none": (wav(tone(300), 10), "sample rate of 10 Hz; expected 1,000 to 400,000"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_are_named(name):
    content, message = WRONG[name]
    with pytest.raises(InputError, match=r"low/a\.wav.* " + message.replace("(", r"\(")):
        decode_sound("low/a.wav:", content, None if name == "rate of none" else RATE)


@pytest.fixture
def folder(tmp_path):
    for part, count in (("train", 6), ("test", 3)):
        for name, hertz in (("high", 2000), ("low", 300)):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(count):
                path = tmp_path / part / name / f"{i}.wav"
                path.write_bytes(wav(tone(hertz + 20 * i)))
    return tmp_path


def test_class_folders_of_sound(folder):
    dataset = load_own(OwnData(str(folder), bins=50, sensor=(1, 30)))
    assert dataset.sound == Cochlea(RATE, steps=50, channels=30)
    assert dataset.signal == "stream"
    assert dataset.train.inputs.shape == (12, 1, 50, 30)
    fired = dataset.test.inputs.sum((1, 2)).numpy()
    centre = fired @ np.arange(30) / fired.sum(1)
    assert (centre[:3] > centre[3:]).all()
    assert dataset.class_names == ("high", "low")


def test_folders_with_mixed_rates_or_kinds_are_refused(folder):
    (folder / "train" / "low" / "9.wav").write_bytes(wav(tone(300, rate=16_000), 16_000))
    with pytest.raises(InputError, match=r"9\.wav has a sample rate of 16,000 Hz; the others"):
        load_own(OwnData(str(folder)))
    (folder / "train" / "low" / "9.wav").rename(folder / "train" / "low" / "9.png")
    with pytest.raises(InputError, match=r"both images \(9\.png\) and sound \(0\.wav\)"):
        load_own(OwnData(str(folder)))


@pytest.mark.data
def test_spoken_digits(real_data):
    digits, speakers = (DATASETS[name].load(real_data) for name in ("fsdd", "fsdd-speakers"))
    assert (len(digits.train.labels), len(digits.test.labels)) == fsdd.SIZE == (2700, 300)
    assert digits.input_shape == (1, 80, 40)
    assert digits.test.labels.bincount().tolist() == [30] * 10
    assert speakers.test.labels.bincount().tolist() == [50] * 6
    assert speakers.class_names[0] == "george"
    assert digits.train.inputs.equal(speakers.train.inputs)
    assert 0.13 < float(digits.train.inputs.mean()) < 0.17


def archive(folder, count):
    (folder / "fsdd").mkdir()
    with tarfile.open(folder / "fsdd" / "fsdd.tar.gz", "w:gz") as file:
        content = wav(tone(300))
        for i in range(count):
            digit, rest = divmod(i, len(fsdd.SPEAKERS) * fsdd.TAKES)
            speaker, take = divmod(rest, fsdd.TAKES)
            name = f"free-spoken/recordings/{digit}_{fsdd.SPEAKERS[speaker]}_{take}.wav"
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))


def test_missing_and_altered_recordings_are_named(tmp_path):
    archive(tmp_path, 2999)
    with pytest.raises(InputError, match=r"holds 2,999 of the 3,000 recordings"):
        fsdd.load(tmp_path)
    (tmp_path / "other").mkdir()
    archive(tmp_path / "other", 3000)
    with pytest.raises(InputError, match="some recording was altered"):
        fsdd.load(tmp_path / "other")
