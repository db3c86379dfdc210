package firesteel.data

/** A column of classes: a label, or the marks of validation rows.
  *
  * @param name
  *   the user's column
  * @param classes
  *   the number of classes that are distinguished
  * @param marks
  *   true if it marks validation rows
  */
private[data] final case class ClassColumn(name: String, classes: Int, marks: Boolean)

/** A column of numbers.
  *
  * @param name
  *   the user's column
  * @param size
  *   the number of values of a row
  */
private[data] final case class NumberColumn(name: String, size: Int) {

  /** The number of blocks of consecutive values; the sums of the blocks represent a row. */
  def blocks: Int = math.min(size, StatisticsPlan.Blocks)
}

/** The columns whose statistics decide if some rows are a fair sample of all rows.
  *
  * @param classes
  *   the columns whose classes are counted in all rows
  * @param labels
  *   numeric labels, which are read in all rows
  * @param features
  *   features, which are read in a sample of the rows
  */
private[data] final case class StatisticsPlan(
    classes: Seq[ClassColumn],
    labels: Seq[NumberColumn],
    features: Seq[NumberColumn]
) {

  /** The columns that are read in all rows. */
  def exact: Seq[String] = (classes.map(_.name) ++ labels.map(_.name)).distinct
}

private[data] object StatisticsPlan {

  /** The maximum number of sums that represent a row of a column; each sum adds adjacent values. */
  val Blocks = 64

  /** The maximum number of distinguished classes of a label. With more classes, every 256th counts as the same class. */
  val Classes = 256

  def of(plan: DataPlan): StatisticsPlan = {
    val labels = plan.labels.distinctBy(_.column)
    StatisticsPlan(
      labels.collect { case LabelColumn(name, LabelKind.Class(classes)) =>
        ClassColumn(name, math.min(classes, Classes), marks = false)
      } ++ plan.indicator.map(ClassColumn(_, 2, marks = true)),
      labels.collect { case LabelColumn(name, LabelKind.Values(size)) => NumberColumn(name, size) },
      plan.inputs
        .flatMap { input =>
          input.columns.map(NumberColumn(_, if (input.columns.size > 1) 1 else input.size))
        }
        .distinctBy(_.name)
    )
  }
}

/** Statistics of rows.
  *
  * @param rows
  *   the number of rows
  * @param classes
  *   for each column of classes the number of rows of each class
  * @param numbers
  *   for each numeric label, then for each column of features, the moments of its blocks, then of the squares of its
  *   blocks
  */
private[data] final case class RowStatistics(
    rows: Long,
    classes: Array[Array[Long]],
    numbers: Array[Array[Moments]]
) {

  /** Returns the statistics of both. */
  def +(other: RowStatistics): RowStatistics = RowStatistics(
    rows + other.rows,
    merge(classes, other.classes)((a, b) => a.lazyZip(b).map(_ + _)),
    merge(numbers, other.numbers)((a, b) => a.lazyZip(b).map(_ + _))
  )

  private def merge[A](mine: Array[A], others: Array[A])(add: (A, A) => A): Array[A] = {
    val sums = mine.clone()
    for (index <- sums.indices) sums(index) = add(mine(index), others(index))
    sums
  }

  /** Returns the distance of these rows from a fair sample of `whole`, for each class and number. The distances of
    * parts add up to that of the whole, which is zero; a single row adds about 1.
    */
  def distance(whole: RowStatistics): Array[Double] = {
    val shares = for {
      (mine, all) <- classes.zip(whole.classes)
      total = all.sum.toDouble
      (count, of) <- mine.zip(all)
      share = if (total > 0) of / total else 0.0
      if share > 0 && share < 1
    } yield (count - share * mine.sum) / math.sqrt(share * (1 - share))
    val means = for {
      (mine, all) <- numbers.zip(whole.numbers)
      (one, of) <- mine.zip(all)
      if of.deviation > 0
    } yield one.weight * (one.mean - of.mean) / of.deviation
    shares ++ means
  }
}
