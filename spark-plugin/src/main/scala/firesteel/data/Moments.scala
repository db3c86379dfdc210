package firesteel.data

/** Mean and variance of numbers, each of which may stand for several rows.
  *
  * @param weight
  *   the number of rows that the numbers stand for
  * @param mean
  *   the mean of the numbers
  * @param squares
  *   the sum of the squared distances from the mean, each times the rows that its number stands for
  * @param weightSquares
  *   the sum of the squared numbers of rows
  */
private[data] final case class Moments(
    weight: Double,
    mean: Double,
    squares: Double,
    weightSquares: Double
) {

  /** Returns the moments of both. */
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

  /** The size of a sample of independent rows with the same standard error of the mean. */
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

  /** Adds a number; numbers that are not finite are skipped. */
  def add(index: Int, number: Double): Unit =
    if (!number.isNaN && !number.isInfinite) {
      counts(index) += 1
      val distance = number - means(index)
      means(index) += distance / counts(index)
      squares(index) += distance * (number - means(index))
    }

  /** Returns the moments of each number, if the added ones stand for this many rows. */
  def result(rows: Long): Array[Moments] = Array.tabulate(size) { index =>
    val count = counts(index)
    if (count == 0) Moments.none
    else {
      val scale = rows.toDouble / count
      Moments(rows.toDouble, means(index), squares(index) * scale, scale * rows)
    }
  }
}
