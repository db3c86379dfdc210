package firesteel.data

/** The way in which the rows of a DataFrame come to the tasks of a fit.
  *
  * @param name
  *   its name as a param
  */
private[firesteel] sealed abstract class SpreadRows(val name: String) extends Serializable

private[firesteel] object SpreadRows {

  /** A shuffle only where groups of the DataFrame's own partitions would not be fair samples. */
  case object Auto extends SpreadRows("auto")

  /** A shuffle, unless the DataFrame was repartitioned into as many partitions. */
  case object Always extends SpreadRows("always")

  /** The DataFrame's own partitions, grouped by their sizes alone. */
  case object Never extends SpreadRows("never")

  val all: Seq[SpreadRows] = Seq(Auto, Always, Never)

  /** The one of this name. */
  def apply(name: String): SpreadRows =
    all
      .find(_.name == name)
      .getOrElse(throw new IllegalArgumentException(s"spreadRows must not be '$name'"))
}
