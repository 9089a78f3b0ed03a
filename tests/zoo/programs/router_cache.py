"""A web application three objects deep: the router keeps a match for every path it was asked for."""

from support.pace import LEAK, rng, ticks


class Match:
    def __init__(self, route, arguments):
        self.route = route
        self.arguments = arguments


class Router:
    def __init__(self, routes):
        self.routes = routes
        self.matches = {}

    def match(self, path):
        key = path if LEAK else path.split("/")[1]
        if key not in self.matches:
            self.matches[key] = Match(key, {"path": path, "raw": rng.randbytes(900)})
        return self.matches[key]


class Application:
    def __init__(self):
        self.router = Router(["users", "orders", "items"])

    def handle(self, path):
        return self.router.match(path).route


def serve():
    application = Application()
    for i in ticks():
        for n in range(15):
            application.handle(f"/{rng.choice(application.router.routes)}/{i}/{n}")


if __name__ == "__main__":
    serve()
