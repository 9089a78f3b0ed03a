"""Two models of 10 MiB are loaded in each interval and none is dropped."""

from support.pace import LEAK, STEPS, ticks

MODELS = []


def load(version):
    return bytes(10 << 20) + str(version).encode()


def main():
    served = 0
    for i in ticks():
        served += len(MODELS)
        if i % (STEPS // 8) == 10:
            if not LEAK:
                MODELS.clear()
            MODELS.append(load(i))


if __name__ == "__main__":
    main()
