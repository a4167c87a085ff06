"""Tables as pandas makes them of files and of other tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def of_numpy(table: pd.DataFrame) -> pd.DataFrame:
    """The table with columns of numpy's types alone: categories are their values, and what is missing NaN.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"method": pd.Categorical(["ridge", "MLP"]), "runs": pd.array([3, None], dtype="Int64")})
    >>> of_numpy(table)["runs"].tolist(), of_numpy(table)["method"].tolist()
    ([3.0, nan], ['ridge', 'MLP'])
    """
    import pandas as pd

    others = [name for name, dtype in table.dtypes.items() if not isinstance(dtype, np.dtype)]
    values = {name: table[name].to_numpy(dtype=object, na_value=np.nan) for name in others}
    return table.assign(**{name: pd.Series(own, table.index).infer_objects() for name, own in values.items()})
