package firesteel.params

/** Checks of parameters; their errors name the accepted values. */
private[firesteel] object Validators {

  def oneOf(what: String, known: Seq[String]): String => Boolean = { value =>
    require(known.contains(value), s"unknown $what '$value'; use one of ${known.mkString(", ")}")
    true
  }

  def number(name: String, accepted: String)(isValid: Double => Boolean): Double => Boolean = {
    value =>
      require(isValid(value), s"$name must be $accepted, not $value")
      true
  }

  def positive(name: String): Double => Boolean =
    number(name, "a positive number")(value => value > 0 && !value.isInfinite)

  def notNegative(name: String): Double => Boolean =
    number(name, "a number of at least 0")(value => value >= 0 && !value.isInfinite)

  def fraction(name: String): Double => Boolean =
    number(name, "a number from 0 to below 1")(value => value >= 0 && value < 1)

  def share(name: String): Double => Boolean =
    number(name, "a number above 0 and at most 1")(value => value > 0 && value <= 1)

  def notEmpty(name: String): String => Boolean = { value =>
    require(value.nonEmpty, s"$name must not be empty")
    true
  }

  def notEmptyArray(name: String): Array[String] => Boolean = { values =>
    require(values.nonEmpty, s"$name must name at least one column")
    true
  }

  def atLeast(least: Long, name: String): Long => Boolean = { value =>
    require(value >= least, s"$name must be at least $least, not $value")
    true
  }

  def scale(name: String): Double => Boolean =
    number(name, "a finite number other than 0")(value =>
      value != 0 && !value.isNaN && !value.isInfinite
    )

  def finite(name: String): Double => Boolean =
    number(name, "a finite number")(value => !value.isNaN && !value.isInfinite)

  def atLeastZero(name: String): Int => Boolean = { value =>
    require(value >= 0, s"$name must be at least 0, not $value")
    true
  }

  def atLeastOne(name: String): Int => Boolean = { value =>
    require(value >= 1, s"$name must be at least 1, not $value")
    true
  }
}
