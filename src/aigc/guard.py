"""How a command ends: what a user can cause becomes one clear line on stderr and an exit code."""

import functools
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from aigc.errors import AigcError
from aigc.signals import Terminated, terminate_in_order

__all__ = ["guarded"]

HESITATION = 5.0  # seconds, as in core/training/replicas.py


def guarded(function: Callable[..., None]) -> Callable[..., None]:
    """The same command, which ends in order; `--debug` among the words of the command line shows tracebacks."""

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> None:
        terminate_in_order()
        debug = "--debug" in sys.argv[1:]
        try:
            function(*args, **kwargs)
            sys.stdout.flush()
        except AigcError as error:
            if debug:
                raise
            _leave(str(error), error.exit_code)
        except BrokenPipeError:  # the reader has had enough, e.g. `| head`: no error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except KeyboardInterrupt as error:
            message = "stopped; the stage was not finished: run the same command again"
            _leave(message, 143 if isinstance(error, Terminated) else 130)
        except MemoryError:
            _leave("out of memory; lower batch_size or context", 1)
        except OSError as error:  # a full disk, a folder that cannot be written
            if debug or error.strerror is None:
                raise
            _leave(f"{error.filename or 'system'}: {error.strerror}", 1)

    return command


def _leave(message: str, code: int) -> NoReturn:
    rank = os.environ.get("RANK", "0") if "WORLD_SIZE" in os.environ else "0"
    if rank != "0":  # under torchrun: where the first process fails alike, it says so, and torchrun ends this one meanwhile
        if code > 128:
            sys.exit(code)
        try:
            time.sleep(HESITATION)
        except KeyboardInterrupt:
            sys.exit(code)
        message = f"process {rank}: {message}"
    print("\n".join(f"aigc: {line}" for line in message.splitlines()), file=sys.stderr, flush=True)
    sys.exit(code)
