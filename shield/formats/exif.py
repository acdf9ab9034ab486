"""EXIF: which way is up, and what of it may stay: how the picture was taken, not where, by whom or of what."""

from PIL import ExifTags, Image
from PIL.Image import Transpose

_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
# Lists of what stays: whatever is not known to be harmless (free text, serial numbers, the offset of a time zone, a
# maker's note) goes, and in a TIFF file the same directory also holds the layout of the pixels.
_KEPT = (ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.DateTime)
_KEPT_OF_THE_CAMERA = {
    ExifTags.Base.ExposureTime,
    ExifTags.Base.FNumber,
    ExifTags.Base.ExposureProgram,
    ExifTags.Base.ISOSpeedRatings,
    ExifTags.Base.SensitivityType,
    ExifTags.Base.StandardOutputSensitivity,
    ExifTags.Base.RecommendedExposureIndex,
    ExifTags.Base.ISOSpeed,
    ExifTags.Base.ExifVersion,
    ExifTags.Base.DateTimeOriginal,
    ExifTags.Base.DateTimeDigitized,
    ExifTags.Base.SubsecTime,
    ExifTags.Base.SubsecTimeOriginal,
    ExifTags.Base.SubsecTimeDigitized,
    ExifTags.Base.ShutterSpeedValue,
    ExifTags.Base.ApertureValue,
    ExifTags.Base.BrightnessValue,
    ExifTags.Base.ExposureBiasValue,
    ExifTags.Base.MaxApertureValue,
    ExifTags.Base.SubjectDistance,
    ExifTags.Base.SubjectDistanceRange,
    ExifTags.Base.MeteringMode,
    ExifTags.Base.LightSource,
    ExifTags.Base.Flash,
    ExifTags.Base.FlashEnergy,
    ExifTags.Base.FocalLength,
    ExifTags.Base.FocalLengthIn35mmFilm,
    ExifTags.Base.FocalPlaneXResolution,
    ExifTags.Base.FocalPlaneYResolution,
    ExifTags.Base.FocalPlaneResolutionUnit,
    ExifTags.Base.ExposureIndex,
    ExifTags.Base.SensingMethod,
    ExifTags.Base.FileSource,
    ExifTags.Base.SceneType,
    ExifTags.Base.SceneCaptureType,
    ExifTags.Base.CustomRendered,
    ExifTags.Base.ExposureMode,
    ExifTags.Base.WhiteBalance,
    ExifTags.Base.DigitalZoomRatio,
    ExifTags.Base.GainControl,
    ExifTags.Base.Contrast,
    ExifTags.Base.Saturation,
    ExifTags.Base.Sharpness,
    ExifTags.Base.LensSpecification,
    ExifTags.Base.LensMake,
    ExifTags.Base.LensModel,
}


def exif_of(image: Image.Image) -> Image.Exif:
    """The EXIF of a picture; empty where it is broken, which takes nothing from the pixels."""
    try:
        return image.getexif()
    except Exception:  # broken bytes raise nearly everything there is
        return Image.Exif()


def turn(exif: Image.Exif) -> Transpose | None:
    """What turns the picture upright."""
    return _TURNS.get(exif.get(ExifTags.Base.Orientation, 1))


def names_adobe_rgb(exif: Image.Exif) -> bool:
    """Whether a camera says so: DCF's "R03", for colours that it names in no other way."""
    try:
        return str(exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex, "")).startswith("R03")
    except Exception:  # as above
        return False


def stripped(exif: Image.Exif) -> bytes | None:
    """EXIF of camera and picture alone; None where there is none."""
    try:
        kept = Image.Exif()
        kept.update({tag: exif[tag] for tag in _KEPT if tag in exif})
        own = exif.get_ifd(ExifTags.IFD.Exif).items()
        if camera := {tag: value for tag, value in own if tag in _KEPT_OF_THE_CAMERA}:
            kept[ExifTags.IFD.Exif] = camera
        return kept.tobytes() if len(kept) else None
    except Exception:  # as above
        return None
