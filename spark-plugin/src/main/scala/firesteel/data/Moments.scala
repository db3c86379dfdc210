package firesteel.data

/** Mean and variance of numbers, of which some may stand for several rows.
  *
  * @param weight
  *   the rows that the numbers stand for
  * @param mean
  *   their mean
  * @param squares
  *   the sum of their squared distances from the mean, each as often as the rows it stands for
  * @param weightSquares
  *   the sum of the squares of the rows that each number stands for
  */
private[data] final case class Moments(
    weight: Double,
    mean: Double,
    squares: Double,
    weightSquares: Double
) {

  /** The moments of both. */
  def +(other: Moments): Moments =
    if (weight == 0) other
    else if (other.weight == 0) this
    else {
      val sum = weight + other.weight
      val distance = other.mean - mean
      Moments(
        sum,
        mean + distance * other.weight / sum,
        squares + other.squares + distance * distance * weight * other.weight / sum,
        weightSquares + other.weightSquares
      )
    }

  def deviation: Double = if (weight > 0) math.sqrt(squares / weight) else 0

  /** The size of a sample of independent rows whose mean is as certain. */
  def effective: Double = if (weightSquares > 0) weight * weight / weightSquares else 0
}

private[data] object Moments {
  val none: Moments = Moments(0, 0, 0, 0)
}

/** Collects the moments of rows of numbers, number by number. */
private[data] final class MomentsBuilder(size: Int) {
  private val counts = new Array[Long](size)
  private val means = new Array[Double](size)
  private val squares = new Array[Double](size)

  /** Adds a number; what is not finite is left out. */
  def add(index: Int, number: Double): Unit =
    if (!number.isNaN && !number.isInfinite) {
      counts(index) += 1
      val distance = number - means(index)
      means(index) += distance / counts(index)
      squares(index) += distance * (number - means(index))
    }

  /** The moments of each number where those added stand for so many rows. */
  def result(rows: Long): Array[Moments] = Array.tabulate(size) { index =>
    val count = counts(index)
    if (count == 0) Moments.none
    else {
      val scale = rows.toDouble / count
      Moments(rows.toDouble, means(index), squares(index) * scale, scale * rows)
    }
  }
}
