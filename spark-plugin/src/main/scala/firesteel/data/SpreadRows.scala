package firesteel.data

/** The distribution of a DataFrame's rows over the tasks of a fit.
  *
  * @param name
  *   the value of the param
  */
private[firesteel] sealed abstract class SpreadRows(val name: String) extends Serializable

private[firesteel] object SpreadRows {

  /** A shuffle only where groups of the DataFrame's own partitions would not be fair samples. */
  case object Auto extends SpreadRows("auto")

  /** A shuffle, unless the DataFrame was repartitioned into as many partitions as tasks. */
  case object Always extends SpreadRows("always")

  /** The DataFrame's own partitions, grouped by their sizes alone. */
  case object Never extends SpreadRows("never")

  val all: Seq[SpreadRows] = Seq(Auto, Always, Never)

  /** Returns the value with this name. */
  def apply(name: String): SpreadRows =
    all
      .find(_.name == name)
      .getOrElse(
        throw new IllegalArgumentException(
          s"unknown spreadRows '$name'; use one of ${all.map(_.name).mkString(", ")}"
        )
      )
}
