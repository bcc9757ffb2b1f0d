import pickle

from bot.prompts import PromptError


def test_an_error_survives_pickling():
    error = pickle.loads(pickle.dumps(PromptError(3, 4, "it is wrong", "Mend it.")))
    assert (error.position, error.length) == (3, 4)
    assert str(error) == "At character 4: it is wrong. Mend it."
