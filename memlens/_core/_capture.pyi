def capture(
    *, values: bool = False, own_prefix: str = "", skip_frames: int = 0
) -> dict[str, memoryview]: ...
def fork_capture(
    file_fd: int,
    progress_fd: int,
    facts_fd: int,
    *,
    values: bool = False,
    own_prefix: str = "",
    skip_frames: int = 0,
    more: tuple[tuple[str, str, bytes], ...] = (),
) -> int: ...
def wait_with_gil(descriptor: int, milliseconds: int) -> bool: ...
