"""The parameters of estimators and models by concern, as the traits of Scala's `firesteel.params`.

A `...Params` has parameters, defaults and getters, a `...Setters` the setters, which estimators
have, and a `...Options` is the type of the keyword arguments of their constructors.
"""
