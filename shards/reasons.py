"""The one list of reject reasons. A code says what is wrong with the item; its text says it to a person.

A transient reason says nothing of the item itself: a file may come back, a device may recover. A unit that recorded one
is tried again by the next run, since nothing else that it is known by would change.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an offered item gave no row. `text` is the sentence shown in status, report and logs."""

    text: str
    transient: bool  # it may pass without any change of what a unit is known by

    def __new__(cls, code: str, text: str, transient: bool = False) -> Reason:
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = text
        member.transient = transient
        return member

    @classmethod
    def of(cls, code: str) -> Reason:
        """The reason with this code; KeyError where there is none."""
        return cls[code.upper()]

    # reading
    MISSING_FILE = "missing_file", "the file named by the row does not exist", True
    UNREADABLE = "unreadable", "the file could not be read (permission, device or network error)", True
    NOT_RECOGNISED = "not_recognised", "the bytes are of no format that is read here"
    TOO_LARGE = "too_large", "the header claims more pixels, frames or bytes than the limits allow"
    TRUNCATED = "truncated", "the file ends before its pixels do"
    CORRUPT = "corrupt", "the decoder found the data damaged"
    CODEC_MISSING = "codec_missing", "no installed codec reads this compression"
    NO_PIXELS = "no_pixels", "the object holds no pixel data"
    NOT_AN_IMAGE = "not_an_image", "the object is not a picture for display (segmentation, dose, report, presentation)"
    UNSUPPORTED_PIXELS = "unsupported_pixels", "the pixel format has no defined display values here"
    UNSUPPORTED_SIGNAL = "unsupported_signal", "the signal has no defined picture here (form, rates, scale or length)"
    NO_ORIENTATION = "no_orientation", "the header does not say which side is left"
    PATH_ESCAPES = "path_escapes", "the path leads outside the source's root"
    HIDDEN = "hidden", "a hidden file or folder, or one that an operating system keeps for itself"
    BAD_NAME = "bad_name", "the file's name is not UTF-8: rename the file"
    MEDIA_CHANGED = "media_changed", "the file is no longer the one that the manifest recorded", True
    # meaning
    UNKNOWN_MODALITY = "unknown_modality", "the modality is missing or outside the vocabulary"
    UNKNOWN_SPECIALTY = "unknown_specialty", "the specialty is missing or outside the vocabulary"
    BAD_ROW = "bad_row", "a required cell of the table row is missing or malformed"
    NO_METADATA = "no_metadata", "no row of a joined table speaks of the item"
    HEADER_CONTRADICTS = "header_contradicts", "the header of the file says otherwise than the table"
    OUT_OF_RANGE = "out_of_range", "less of it than the stage needs lies within the range that the stage asks for"
    DUPLICATE_KEY = "duplicate_key", "the key was seen before"
    DUPLICATE = "duplicate", "an exact copy of an earlier item"
    LICENCE_NOT_ALLOWED = "licence_not_allowed", "the licence is not on the allow-list of the pipeline"
    BURNED_IN_TEXT_UNCHECKED = "burned_in_text_unchecked", "may show burned-in text that no gate has checked"
    EXCLUDED_BY_NAME = "excluded_by_name", "left out by name in the pipelines file"
    BLANK = "blank", "shows nothing, or less than the stage asks for"
    THICK_SLICES = "thick_slices", "the plane runs across slices too thick to make a picture of"
    IN_GAP = "in_gap", "lies in the gap between two slabs of one volume"
    BRIDGES_SPLITS = "bridges_splits", "would join groups that lie in different splits"
    NO_CAPTION = "no_caption", "no caption was given and none could be made"
    NO_MEDIA_FACTS = "no_media_facts", ("hash or size of the media are unknown: set `probe: true` in its converter")
    WRONG_KIND = (
        "wrong_kind",
        "a clip where stills are packed, or a still where clips are: set `select` of the pack stage",
    )
    NO_SPLIT = "no_split", "the sample has no split: add a curate stage"
    NOT_REDISTRIBUTABLE = "not_redistributable", "the terms do not allow what the stage does"
    # the web
    BAD_URL = "bad_url", "the url is malformed, or of a scheme or port that is not fetched"
    ADDRESS_FORBIDDEN = "address_forbidden", "the host is, or leads to, an address that is not of the public internet"
    HOST_DENIED = "host_denied", "the site's terms forbid this use: only a licence record for the host overrides that"
    NO_LICENCE_RECORD = "no_licence_record", "the host has no licence record in the pipelines file"
    ROBOTS_DISALLOWED = "robots_disallowed", "the site's robots.txt does not allow it"
    ROBOTS_UNREACHABLE = "robots_unreachable", "the site's robots.txt could not be had, so nothing may be fetched", True
    OPTED_OUT = "opted_out", "the site reserves it against use for machine learning"
    HTTP_MISSING = "http_missing", "the server says that it is not there (404, 410)"
    HTTP_REFUSED = "http_refused", "the server refuses it (another answer of 400 to 499)"
    HTTP_FAILED = "http_failed", "the server fails or tells to wait, after all tries", True
    REDIRECT_LOOP = "redirect_loop", "more redirects than are followed, or one that leads back"
    CONNECTION_FAILED = "connection_failed", "no connection, or it broke: name, network, TLS, after all tries", True
    TIMED_OUT = "timed_out", "no whole answer within the deadline", True
    HOST_PAUSED = "host_paused", "the host failed too often in this run and is left alone", True
    WRONG_CONTENT = "wrong_content", "the answer is not of the kind that was asked for, such as a page for a picture"
    CHECKSUM_DIFFERS = "checksum_differs", "the bytes are not those whose checksum the source states", True
    NO_MEDIA = "no_media", "the page or article holds no picture or video with what the stage asks for"
    RETRACTED = "retracted", "the article is retracted"
    # captioning by a model
    EGRESS_FORBIDDEN = "egress_forbidden", "the terms of the data do not allow to send the picture to that server"
    CANARY_FAILED = "canary_failed", "the model did not see pictures whose content is known", True
    PICTURE_NOT_SEEN = "picture_not_seen", "the model's prompt held no picture"
    PICTURE_NOT_TAKEN = "picture_not_taken", "the model's own preparation does not take a picture of this form"
    QUESTION_TOO_LONG = "question_too_long", "the prompt with its pictures is longer than the model or the device holds"
    ANSWER_MALFORMED = "answer_malformed", "the server's answer is not of the form that was agreed", True
    ANSWER_EMPTY = "answer_empty", "the model said nothing"
    ANSWER_THINKS = "answer_thinks", "the answer holds the model's thoughts"
    ANSWER_CUT = "answer_cut", "the model was stopped before it had ended, by its length or a filter"
    ANSWER_REFUSES = "answer_refuses", "the model refused, or spoke of itself"
    ANSWER_FORM = "answer_form", "the answer is a list, a table or code, no running text"
    ANSWER_TOO_LONG = "answer_too_long", "the answer has more words than the prompt allows"
    ANSWER_LOOPS = "answer_loops", "the answer repeats itself"
    ANSWER_PARROTS = "answer_parrots", "the answer repeats the prompt"
    ANSWER_OPENING = "answer_opening", "the answer does not begin as the prompt asks"
    ANSWER_IDENTIFIES = "answer_identifies", "the answer holds what looks like a name, a date or a record number"
    ANSWER_CONTRADICTS = "answer_contradicts", "the answer contradicts the metadata or the labels"
    ANSWER_UNSTATED = "answer_unstated", "a side, grade, size, number or comparison that no label states"
    ANSWER_LANGUAGE = "answer_language", "the answer is not in English"
    # running
    UNEXPECTED_ERROR = "unexpected_error", "an error that no rule names; the detail says where"
    WORKER_DIED = "worker_died", "the worker process died on this item", True
    DEADLINE = "deadline", "the item used up its time", True
    NOT_TRIED = "not_tried", "too many rejects in a row stopped the unit before this item"
