"""Reports into pages: one self-contained HTML file each, that needs no network and no script."""
