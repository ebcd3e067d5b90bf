"""`hsn app`: annotate, train, look and correct, in a browser on one's own machine.

| file | content |
|---|---|
| `project.py` | the project folder: a study with a journal; its images |
| `features.py` | the features that may be drawn, checked |
| `journal.py` | edits as lines of a file, on disk before they are acknowledged |
| `annotations.py` | what the edits add up to, and GeoJSON files of it |
| `tiles.py` | images as tiles |
| `guard.py` | who may ask |
| `events.py` | messages to the open pages |
| `routes.py`, `server.py` | what can be asked, and the server |

The server never imports Keras. Nets are trained and run by child processes.
"""
