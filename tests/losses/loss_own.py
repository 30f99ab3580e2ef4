"""A user's own terms, for the tests of the table."""


def square_loss(matte, batch, *, power: float = 2.0):
    return ((matte.alpha - batch["alpha"]).abs() ** power).mean()


def never_loss(matte, batch, *, region: str = "unknown"):
    raise AssertionError("a term with weight 0 was computed")


def wish_loss(matte, batch):
    return matte.alpha.mean()


def cubic(matte, batch, power=3.0):
    return ((matte.alpha - batch["alpha"]).abs() ** power).mean()


def colour_loss(matte, batch, scale, *, per="pixel"):
    return scale * (batch["foreground"] * (matte.alpha - batch["alpha"])).abs().mean()


colour_loss.reads = ("alpha", "foreground")


def undeclared_loss(matte, batch):
    return (batch["foreground"] * (matte.alpha - batch["alpha"])).abs().mean()


def faulty_loss(matte, batch):
    return {}[3]


def hope_loss(matte, batch):
    return (1 - matte.alpha).mean()


hope_loss.reads = ("image",)
wish_loss.kind = "regulariser"
not_a_function = 3
