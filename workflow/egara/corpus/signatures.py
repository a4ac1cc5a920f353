"""File types by first bytes."""

_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG_2000 = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
_JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_image(head: bytes) -> bool:
    """Return whether a file is an image."""
    kinds = (is_webp, is_avif, is_jpeg_xl, is_heic, is_portable_map)
    return head.startswith((*_IMAGES, *_JPEG_2000)) or any(kind(head) for kind in kinds)


def is_portable_map(head: bytes) -> bool:
    """Return whether a file is PBM, PGM or PPM, the format of rendered PDF pages."""
    return head[:1] == b"P" and head[1:2] in tuple(b"%d" % number for number in range(1, 8)) and head[2:3].isspace()


def is_webp(head: bytes) -> bool:
    """Return whether a file is WebP."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def is_avif(head: bytes) -> bool:
    """Return whether a file is AVIF, by its brands."""
    return head[4:8] == b"ftyp" and any(brand in head[8:64] for brand in (b"avif", b"avis"))


def is_jpeg_xl(head: bytes) -> bool:
    """Return whether a file is JPEG XL."""
    return head.startswith(_JPEG_XL)


def is_heic(head: bytes) -> bool:
    """Return whether a file is HEIC, or another HEIF format but AVIF."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIC and not is_avif(head)
