"""A chat bot adds each exchange to one module-level text."""

from support.pace import LEAK, rng, ticks

transcript = ""


def answer(question):
    global transcript
    reply = "word " * rng.randrange(2000, 4000)
    transcript = transcript + f"user: {question}\nbot: {reply}\n"
    if not LEAK:
        transcript = transcript[-50_000:]


def main():
    for i in ticks():
        answer(f"What is {i}?")


if __name__ == "__main__":
    main()
