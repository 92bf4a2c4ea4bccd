"""Secrets become `***` in every form in which they are written, and nothing else does."""

from __future__ import annotations

import time

import pytest

from harness.masking import masked, masked_arguments

SECRET = "CANARY"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("postgresql://me:CANARY@host/db", "postgresql://me:***@host/db"),
        ("'postgresql+psycopg://me:CANARY@host/db' is", "'postgresql+psycopg://me:***@host/db' is"),
        ("postgresql://me:CAN@ARY@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:CAN/ARY@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:CANARY@host/db", "postgresql://:***@host/db"),
        ("postgresql//me:CANARY@host/db", "postgresql//me:***@host/db"),
        ("postgres:/me:CANARY@host/db", "postgres:/me:***@host/db"),
        ("postgres:me:CANARY@host/db", "postgres:me:***@host/db"),
        ("//me:CANARY@host/db", "//me:***@host/db"),
        ("https://CANARY@github.com/me/it", "https://***@github.com/me/it"),
        ("https://CANARY:x-oauth-basic@github.com/me/it", "https://***@github.com/me/it"),
        ("postgresql://host/db?password=CANARY&x=1", "postgresql://host/db?password=***&x=1"),
        ("postgresql://host/db?sslpassword=CANARY#end", "postgresql://host/db?sslpassword=***#end"),
        ("https://host/a?access_token=CANARY", "https://host/a?access_token=***"),
        ("host=here password=CANARY dbname=x", "host=here password=*** dbname=x"),
        ("--api-key='CANARY' --n=3", "--api-key='***' --n=3"),
        ("TORCH_TOKEN=CANARY", "TORCH_TOKEN=***"),
        ('{"password": "CANARY", "n": 3}', '{"password": "***", "n": 3}'),
        (f"https://{SECRET * 300}@host", "https://***@host"),
        (f"postgresql://me:{SECRET * 300}@host", "postgresql://me:***@host"),
        (f"token={SECRET * 300}", "token=***"),
    ],
)
def test_a_secret_is_masked_and_masking_again_changes_nothing(written: str, shown: str) -> None:
    assert masked(written) == shown
    assert masked(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me@host:5432/db?host=/run/socket",
        "http://host:8080/path@version",
        "new_tokens=64 eos_token=3 base.prompts.tokens=16",
        "fe_sendauth: no password supplied",
        "write to me@host about it: a = b",
        "",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert masked(text) == text


def test_arguments_of_a_command() -> None:
    arguments = ("harness", "run", "--store", "postgresql://me:CAN ARY@host/db", "--token", SECRET, "--set")
    shown = ("harness", "run", "--store", "postgresql://me:***@host/db", "--token", "***", "--set")
    assert masked_arguments((*arguments, "token=CANARY", "-v")) == (*shown, "token=***", "-v")


@pytest.mark.parametrize("unit", ["//a:", "http://", "token=", "postgresql:", "//a:b@", "https://x"])
@pytest.mark.parametrize("end", ["", "@", " @"])
def test_hostile_texts_take_no_time(unit: str, end: str) -> None:
    started = time.process_time()
    masked(unit * 50_000 + end)
    assert time.process_time() - started < 1.0
