"""Command `preview`."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..files.version import VERSION
from .shared.console import print_text

if TYPE_CHECKING:
    from ..upload.preview.finder import Finder


def preview(
    folder: Annotated[Path, typer.Argument(metavar="HUBDIR", help="The folder that `medimeta build` wrote.")],
    path: Annotated[Path, typer.Option("--out", help="HTML file to write.")] = Path("preview.html"),
    space: Annotated[
        Path | None,
        typer.Option(help="Write a folder for a static Space instead, without images that may not be redistributed."),
    ] = None,
    only: Annotated[str, typer.Option(metavar="ID,...", help="Show only these datasets.")] = "",
    seed: Annotated[int, typer.Option(help="Random seed of the sample of images.")] = 0,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Images of each dataset in the page. Default: as many as open quickly.")
    ] = None,
    served: Annotated[
        bool,
        typer.Option("--serve", help="Serve the page on this machine instead: all rows, page by page from Parquet."),
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of --serve; 0 chooses a free one.")] = 0,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Write an HTML page that shows the contents of a Hub folder.

    One self-contained file: images by label and split, class balance, search, full rows. It holds a sample of the
    images; with --serve, every row can be found by file, number, subject or label.
    """
    from ..builders.hub.repository import hub_folder
    from ..files.outputs import check_output
    from ..upload.preview.contents import contents
    from ..upload.preview.finder import Finder
    from ..upload.preview.page import check_space, render, write_page, write_space
    from ..upload.push.refusals import chosen
    from .shared.progress import progress_bar

    if served and space is not None:
        raise typer.BadParameter("--serve and --space exclude each other.")
    if space is not None:
        check_space(space)
    elif not served:
        check_output(path, "HTML")
    folder = hub_folder(folder)
    names = chosen(folder, [name.strip() for name in only.split(",") if name.strip()])
    with progress_bar("datasets") as progress:
        bar = progress.add_task("preview", total=len(names))
        size = 1 if served else sample
        common = {"only": names, "seed": seed, "size": size, "public": space is not None}
        shown = contents(folder, **common, finished=lambda _: progress.advance(bar))  # type: ignore[arg-type]
    title = folder.resolve().name
    html = render(shown, title, VERSION, served=served)
    if served:
        _serve(html, Finder(folder, names), port, show=show)
        return
    if space is None:
        write_page(html, path)
    else:
        write_space(html, space, title)
        path = space / "index.html"
    print_text(f"Wrote {path} ({len(html.encode()) / 1e6:.1f} MB).")
    if show:
        webbrowser.open(path.resolve().as_uri())


def _serve(html: str, finder: Finder, port: int, *, show: bool) -> None:
    from ..upload.preview.server import serve

    def ready(address: str) -> None:
        print_text(f"Serving {address}. End it with Ctrl-C.")
        if show:
            webbrowser.open(address)

    serve(html, finder, port=port, ready=ready)
