# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what each key means: one table from key to action, as data.

A key is what the screen hands over: one character, or a name such as "KEY_F1". What an action
does to the view is in `actions.py`; what it does outside the view (quit, write) in `loop.py`.
"""

from __future__ import annotations

from enum import Enum


class Action(Enum):
    """What the user asks for. The value is the sentence that help shows."""

    QUIT = "quit"
    RESET = "reset the counters"
    EDIT_FILTER = "filter by pid, user, name or port; empty clears"
    EDIT_SEARCH = "search and go to the next match"
    SEARCH_NEXT = "go to the next match"
    SEARCH_PREVIOUS = "go to the match before"
    EDIT_FILE = "write what is on the screen to a file"
    TOGGLE_PAUSE = "pause or resume"
    REFRESH_FASTER = "refresh faster"
    REFRESH_SLOWER = "refresh slower"
    FOCUS_PROCESSES = "go to the processes"
    FOCUS_SYSCALLS = "go to the system calls"
    FOCUS_CONNECTIONS = "go to the connections"
    FOCUS_EVENTS = "go to the events"
    FOCUS_DISKS = "go to the disks"
    TOGGLE_HELP = "show or hide the help"
    MOVE_UP = "one row up"
    MOVE_DOWN = "one row down"
    SCROLL_LEFT = "command lines to the left"
    SCROLL_RIGHT = "command lines to the right"
    PAGE_UP = "one page up"
    PAGE_DOWN = "one page down"
    MOVE_FIRST = "to the first row"
    MOVE_LAST = "to the last row"
    SORT_PREVIOUS = "sort by the column to the left"
    SORT_NEXT = "sort by the column to the right"
    SORT_CPU = "sort by CPU%"
    SORT_MEMORY = "sort by resident memory"
    SORT_TIME = "sort by time on the CPU"
    REVERSE_SORT = "reverse the order"
    TOGGLE_TREE = "show as a tree"
    TOGGLE_CUMULATIVE = "totals since start, or the last interval"
    TOGGLE_THREADS = "a row a thread"
    TOGGLE_ZOOM = "give the focused panel the whole screen"
    NEXT_COLUMNS = "the next set of columns; of a closer look, its time or its memory"
    NEXT_WINDOW = "system calls: of the interval, of ten seconds, since reset"
    TOGGLE_PORT_NAMES = "connections: well-known ports by name"
    TOGGLE_PROBES = "switch probes on and off"
    CHOOSE = "look closer at the selected process: its time, where it waits, its memory"
    TAG = "tag the row"
    GO_BACK = "back; then clear search, filter and tags"
    REDRAW = "draw the screen anew"


KEYS: dict[str, Action] = {
    "q": Action.QUIT,
    "KEY_F10": Action.QUIT,
    "r": Action.RESET,
    "f": Action.EDIT_FILTER,
    "KEY_F4": Action.EDIT_FILTER,
    "\\": Action.EDIT_FILTER,
    "/": Action.EDIT_SEARCH,
    "KEY_F3": Action.EDIT_SEARCH,
    "n": Action.SEARCH_NEXT,
    "N": Action.SEARCH_PREVIOUS,
    "w": Action.EDIT_FILE,
    "p": Action.TOGGLE_PAUSE,
    "+": Action.REFRESH_FASTER,
    "=": Action.REFRESH_FASTER,
    "KEY_F8": Action.REFRESH_FASTER,
    "-": Action.REFRESH_SLOWER,
    "KEY_F7": Action.REFRESH_SLOWER,
    "1": Action.FOCUS_PROCESSES,
    "2": Action.FOCUS_SYSCALLS,
    "3": Action.FOCUS_CONNECTIONS,
    "4": Action.FOCUS_EVENTS,
    "5": Action.FOCUS_DISKS,
    "h": Action.TOGGLE_HELP,
    "?": Action.TOGGLE_HELP,
    "KEY_F1": Action.TOGGLE_HELP,
    "KEY_UP": Action.MOVE_UP,
    "k": Action.MOVE_UP,
    "KEY_DOWN": Action.MOVE_DOWN,
    "j": Action.MOVE_DOWN,
    "KEY_LEFT": Action.SCROLL_LEFT,
    "KEY_RIGHT": Action.SCROLL_RIGHT,
    "KEY_PPAGE": Action.PAGE_UP,
    "KEY_NPAGE": Action.PAGE_DOWN,
    "KEY_HOME": Action.MOVE_FIRST,
    "KEY_END": Action.MOVE_LAST,
    "<": Action.SORT_PREVIOUS,
    ",": Action.SORT_PREVIOUS,
    ">": Action.SORT_NEXT,
    ".": Action.SORT_NEXT,
    "KEY_F6": Action.SORT_NEXT,
    "P": Action.SORT_CPU,
    "M": Action.SORT_MEMORY,
    "T": Action.SORT_TIME,
    "I": Action.REVERSE_SORT,
    "t": Action.TOGGLE_TREE,
    "KEY_F5": Action.TOGGLE_TREE,
    "c": Action.TOGGLE_CUMULATIVE,
    "KEY_F9": Action.TOGGLE_CUMULATIVE,
    "H": Action.TOGGLE_THREADS,
    "KEY_F2": Action.NEXT_COLUMNS,
    "z": Action.TOGGLE_ZOOM,
    "\t": Action.NEXT_COLUMNS,
    "W": Action.NEXT_WINDOW,
    "a": Action.TOGGLE_PORT_NAMES,
    "s": Action.TOGGLE_PROBES,
    "KEY_ENTER": Action.CHOOSE,
    " ": Action.TAG,
    "\x1b": Action.GO_BACK,
    "\x0c": Action.REDRAW,
}
