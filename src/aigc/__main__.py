"""`python -m aigc` is the same as the `aigc` command."""

from aigc.cli import main

if __name__ == "__main__":
    main()
