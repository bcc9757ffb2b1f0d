from bot.faces.web.login import (
    FAILURES_MAX,
    FAILURES_WINDOW_S,
    FailedLogins,
    is_valid_session,
    session_value,
)

TOKEN = "correct horse battery"


def test_a_session_is_valid_until_it_ends():
    value = session_value(TOKEN, 1000.0)
    assert is_valid_session(value, TOKEN, 999.0)
    assert not is_valid_session(value, TOKEN, 1000.0)


def test_a_session_can_not_be_made_longer_by_hand():
    expiry, signature = session_value(TOKEN, 1000.0).split(".")
    assert not is_valid_session(f"{int(expiry) + 9}.{signature}", TOKEN, 999.0)


def test_a_changed_token_ends_every_session():
    assert not is_valid_session(session_value(TOKEN, 1000.0), TOKEN + "!", 1.0)


def test_a_session_tells_nothing_of_the_token():
    assert TOKEN not in session_value(TOKEN, 1000.0)


def test_failures_are_forgotten_after_a_while():
    failed = FailedLogins()
    for _ in range(FAILURES_MAX):
        assert not failed.are_too_many(0.0)
        failed.note(0.0)
    assert failed.are_too_many(1.0)
    assert not failed.are_too_many(FAILURES_WINDOW_S + 1.0)
