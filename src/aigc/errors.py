"""What a user can cause, each with the exit code that the shell sees."""

__all__ = ["AigcError", "ConfigError", "Stopped"]


class AigcError(Exception):
    """The work could not be done: the message is one clear line (what, where, how to mend it). Exit code 1."""

    exit_code = 1


class ConfigError(AigcError):
    """The command line or the project file is wrong. Exit code 2."""

    exit_code = 2


class Stopped(AigcError):
    """A signal asked us to stop and we did, at a safe point; the message says how to go on. Exit code 128 + signal."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
