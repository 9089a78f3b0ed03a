"""Settings of all tenants in one dict that is rebuilt with the next tenant's added."""

from support.pace import LEAK, rng, ticks


class Settings:
    def __init__(self):
        self.tenants = {}

    def merge(self, tenant, values):
        old = self.tenants if LEAK else {}
        self.tenants = {**old, tenant: values}


def main():
    settings = Settings()
    for i in ticks():
        settings.merge(f"tenant-{i}", [rng.random() for _ in range(500)])


if __name__ == "__main__":
    main()
