package firesteel.data

/** A column of classes: of a label, or of marks of validation rows.
  *
  * @param name
  *   the user's column
  * @param classes
  *   how many classes are told apart
  * @param marks
  *   whether it marks validation rows
  */
private[data] final case class ClassColumn(name: String, classes: Int, marks: Boolean)

/** A column of numbers.
  *
  * @param name
  *   the user's column
  * @param size
  *   the numbers of a row
  */
private[data] final case class NumberColumn(name: String, size: Int) {

  /** The number of blocks of consecutive numbers whose sums stand for a row. */
  def blocks: Int = math.min(size, StatisticsPlan.Blocks)
}

/** The columns whose statistics tell whether some rows are a fair sample of all.
  *
  * @param classes
  *   the columns whose classes are counted, in all rows
  * @param labels
  *   labels of numbers, of which all rows are looked at
  * @param features
  *   features, of which a sample is looked at
  */
private[data] final case class StatisticsPlan(
    classes: Seq[ClassColumn],
    labels: Seq[NumberColumn],
    features: Seq[NumberColumn]
) {

  /** The columns that are read of all rows. */
  def exact: Seq[String] = (classes.map(_.name) ++ labels.map(_.name)).distinct
}

private[data] object StatisticsPlan {

  /** The most sums that stand for a row of a column: values that lie side by side are added up. */
  val Blocks = 64

  /** The most classes of a label that are told apart. With more classes, every 256th counts as the same. */
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
  *   how many
  * @param classes
  *   of each column of classes how many rows each class has
  * @param numbers
  *   of each label of numbers, then of each column of features, the moments of its blocks, then of
  *   the squares of its blocks
  */
private[data] final case class RowStatistics(
    rows: Long,
    classes: Array[Array[Long]],
    numbers: Array[Array[Moments]]
) {

  /** The statistics of both. */
  def +(other: RowStatistics): RowStatistics = RowStatistics(
    rows + other.rows,
    both(classes, other.classes)((a, b) => a.lazyZip(b).map(_ + _)),
    both(numbers, other.numbers)((a, b) => a.lazyZip(b).map(_ + _))
  )

  private def both[A](mine: Array[A], others: Array[A])(add: (A, A) => A): Array[A] = {
    val sums = mine.clone()
    for (index <- sums.indices) sums(index) = add(mine(index), others(index))
    sums
  }

  /** The distance of these rows from a fair sample of `whole`, in each class and number. The
    * distances of parts add up to that of the whole, which is zero; a single row adds about 1.
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
