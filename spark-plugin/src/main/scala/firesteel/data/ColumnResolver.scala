package firesteel.data

import firesteel.bridge.{InvalidDataException, UntrainedModelException}
import org.apache.spark.ml.attribute.AttributeGroup
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.ml.linalg.{SparseVector, Vector}
import org.apache.spark.sql.catalyst.util.ArrayData
import org.apache.spark.sql.firesteel.SqlPrivate
import org.apache.spark.sql.types._
import org.apache.spark.sql.{Column, DataFrame}

/** The columns for one input of the network, as the user set them.
  *
  * @param name
  *   the name of the network's input
  * @param columns
  *   one Vector, array or binary column, or any number of numeric columns
  * @param shape
  *   the shape of one row; by default one dimension of the column's size
  * @param scale
  *   the factor of each value
  */
private[firesteel] final case class InputRequest(
    name: String,
    columns: Seq[String],
    shape: Option[Seq[Int]] = None,
    scale: Double = 1.0
)

/** Finds the user's columns in a DataFrame and chooses their formats. Every error is an `IllegalArgumentException` that
  * names the column, its type and the accepted types.
  */
private[firesteel] object ColumnResolver {

  /** The smallest size of a vector that may be sparse in the stream. */
  private val SparseSize = 256

  /** Vectors are sparse in the stream if the first one is sparse and at most one value in this many is set. */
  private val SparseFactor = 4

  private val vectors = VectorType.asInstanceOf[UserDefinedType[Any]]

  private val InputTypes =
    "a Spark ML vector, an array of a numeric type, binary, or numeric columns"

  /** Returns the plan of a fit. Sizes come from `shape`, from the column's ML attributes or from its metadata key
    * `size`; one row is read only if a column has none of them.
    *
    * @throws UntrainedModelException
    *   if a row is needed and the DataFrame has none
    */
  def resolve(
      df: DataFrame,
      inputs: Seq[InputRequest],
      labels: Seq[LabelColumn],
      weight: Option[String] = None
  ): DataPlan = {
    check(df.schema, inputs, labels, weight)
    val unknown = inputs.filter(needsRow(df.schema, _)).map(_.columns.head).distinct
    lazy val first: Map[String, Any] = unknown.zip(firstRow(df, unknown)).toMap
    val resolved = inputs.map { input =>
      val example =
        if (unknown.contains(input.columns.head)) first.get(input.columns.head) else None
      column(df.schema, input, example)
    }
    DataPlan(resolved, labels, weight)
  }

  /** Returns the inputs of a fit, if their sizes are known without reading data. The sparseness of vectors remains
    * unknown.
    */
  def known(schema: StructType, inputs: Seq[InputRequest]): Option[Seq[InputColumn]] = {
    check(schema, inputs, Nil)
    val sizes = inputs.flatMap(sizeWithoutRow(schema, _))
    if (sizes.size == inputs.size) Some(inputs.map(column(schema, _, None))) else None
  }

  /** Returns the plan of a prediction: the fitted inputs read from the columns of another schema, whose types may
    * differ from those of the fit. Runs no job.
    *
    * @param fitted
    *   the inputs of the fit, with the columns to read for this prediction
    */
  def forPrediction(schema: StructType, fitted: Seq[InputColumn]): DataPlan =
    DataPlan(fitted.map { input =>
      val types = input.columns.map(inputType(schema, _, input.columns.size > 1))
      knownSize(schema, input.columns, types).foreach(requireSize(input.columns, _, input.shape))
      val sparse = input.format == InputFormat.Sparse && types == Seq(ColumnType.Vectors)
      input.copy(
        format = if (sparse) InputFormat.Sparse else InputFormat.Dense,
        element = ColumnType.common(types.map(_.element))
      )
    })

  /** Checks that the columns exist and have accepted types. Reads no data. */
  def check(
      schema: StructType,
      inputs: Seq[InputRequest],
      labels: Seq[LabelColumn],
      weight: Option[String] = None,
      validation: Option[ValidationRows] = None
  ): Unit = {
    inputs.foreach { input =>
      demand(input.columns.nonEmpty, s"the network's input '${input.name}' has no column")
      val types = input.columns.map(inputType(schema, _, input.columns.size > 1))
      for (shape <- input.shape) {
        demand(
          shape.forall(_ > 0) && shape.map(_.toLong).product <= Int.MaxValue,
          s"the shape ${shape.mkString("x")} of input '${input.name}' must have positive sizes"
        )
        knownSize(schema, input.columns, types).foreach(requireSize(input.columns, _, shape))
      }
    }
    labels.foreach(label => checkLabel(schema, label))
    weight.foreach { name =>
      val dataType = field(schema, name).dataType
      demand(
        dataType.isInstanceOf[NumericType],
        s"the weight column '$name' has type ${typeText(dataType)}; expected a numeric type"
      )
    }
    validation.flatMap(_.column).foreach { name =>
      val dataType = field(schema, name).dataType
      demand(
        dataType == BooleanType,
        s"the validation column '$name' has type ${typeText(dataType)}; expected boolean"
      )
    }
  }

  /** Returns the field of a top-level column, found by Spark's rules. */
  private[firesteel] def field(schema: StructType, name: String): StructField =
    schema.fields.filter(_.name == name) match {
      case Array(found) => found
      case Array() =>
        val similar = schema.fields.filter(_.name.equalsIgnoreCase(name))
        if (similar.length == 1) similar.head
        else throw new IllegalArgumentException(missing(schema, name))
      case _ => throw new IllegalArgumentException(s"there is more than one column '$name'")
    }

  /** Returns true if a column of this type holds several numbers in each row: a vector or an array. */
  private[firesteel] def holdsSeveral(dataType: DataType): Boolean =
    ColumnType.of(dataType) match {
      case Some(ColumnType.Vectors | _: ColumnType.Numbers) => true
      case _ => false
    }

  private def missing(schema: StructType, name: String): String = {
    val shown = schema.fieldNames.take(20).map(n => s"'$n'").mkString(", ")
    val more = if (schema.length > 20) s" and ${schema.length - 20} more" else ""
    // Spark's own wording, by which MLflow finds a model's features.
    s"the column '$name' does not exist; the columns are $shown$more"
  }

  private def inputType(schema: StructType, name: String, several: Boolean): ColumnType = {
    val dataType = field(schema, name).dataType
    ColumnType.of(dataType) match {
      case Some(number: ColumnType.Number) => number
      case Some(found) if !several => found
      case Some(_) =>
        throw new IllegalArgumentException(
          s"the column '$name' has type ${typeText(dataType)}; columns that form one " +
            "input together must be numeric"
        )
      case None =>
        throw new IllegalArgumentException(
          s"the column '$name' has type ${typeText(dataType)}; expected $InputTypes"
        )
    }
  }

  private def checkLabel(schema: StructType, label: LabelColumn): Unit = {
    val dataType = field(schema, label.column).dataType
    val isScalar = label.kind.size == 1
    val fits = ColumnType.of(dataType) match {
      case Some(ColumnType.Number(number)) => isScalar && number != BooleanType
      case Some(ColumnType.Vectors | _: ColumnType.Numbers) => !isScalar
      case _ => false
    }
    val accepted =
      if (isScalar) "a numeric type"
      else s"a Spark ML vector or a numeric array of ${label.kind.size} values"
    demand(
      fits,
      s"the label column '${label.column}' has type ${typeText(dataType)}; " +
        s"expected $accepted"
    )
  }

  /** Returns the number of values in each row of a column of vectors or arrays, if its metadata has it. */
  def declaredSize(schema: StructType, column: String): Option[Int] =
    ColumnType.of(field(schema, column).dataType).toSeq match {
      case Seq(_: ColumnType.Number) => None
      case several => knownSize(schema, Seq(column), several)
    }

  private def knownSize(
      schema: StructType,
      columns: Seq[String],
      types: Seq[ColumnType]
  ): Option[Int] = types match {
    case Seq(_: ColumnType.Number) => Some(1)
    case Seq(single) =>
      val found = field(schema, columns.head)
      val attributes =
        if (single == ColumnType.Vectors) Some(AttributeGroup.fromStructField(found).size)
        else None
      val declared =
        if (found.metadata.contains("size")) Some(found.metadata.getLong("size").toInt) else None
      attributes.filter(_ > 0).orElse(declared.filter(_ > 0))
    case several => Some(several.size)
  }

  private def needsRow(schema: StructType, input: InputRequest): Boolean = {
    val types = input.columns.map(inputType(schema, _, input.columns.size > 1))
    val size = sizeWithoutRow(schema, input)
    size.forall(_ >= SparseSize && types == Seq(ColumnType.Vectors))
  }

  private def sizeWithoutRow(schema: StructType, input: InputRequest): Option[Int] = {
    val types = input.columns.map(inputType(schema, _, input.columns.size > 1))
    knownSize(schema, input.columns, types).orElse(input.shape.map(_.product))
  }

  /** Returns the values of the first row: vectors, or arrays and bytes in Spark's internal form. */
  private def firstRow(df: DataFrame, columns: Seq[String]): Seq[Any] = {
    val fields = columns.map(name => field(df.schema, name))
    val row = SqlPrivate
      .firstRow(df.select(fields.map(found => quoted(df, found.name)): _*))
      .getOrElse(
        throw new UntrainedModelException(
          s"the DataFrame has no rows, so the size of '${columns.mkString("', '")}' is unknown"
        )
      )
    fields.zipWithIndex.map { case (found, index) =>
      val value = row.get(index, found.dataType)
      if (value != null && ColumnType.of(found.dataType).contains(ColumnType.Vectors)) {
        vectors.deserialize(value)
      } else value
    }
  }

  /** Returns a reference to a top-level column whose name may contain dots or backticks. */
  private[firesteel] def quoted(df: DataFrame, name: String): Column =
    df.col("`" + name.replace("`", "``") + "`")

  private def column(schema: StructType, input: InputRequest, example: Option[Any]): InputColumn = {
    val types = input.columns.map(inputType(schema, _, input.columns.size > 1))
    val found = example.map(value => exampleSize(input.columns.head, value))
    val size = knownSize(schema, input.columns, types)
      .orElse(found)
      .orElse(input.shape.map(_.product))
      .getOrElse(throw new IllegalStateException(s"no size of '${input.columns.head}'"))
    if (size == 0) {
      throw new InvalidDataException(s"the column '${input.columns.head}' has no values in row 0")
    }
    val shape = input.shape.getOrElse(Seq(size))
    requireSize(input.columns, size, shape)
    val sparse = example.exists {
      case vector: SparseVector =>
        vector.size >= SparseSize && vector.numActives.toLong * SparseFactor <= vector.size
      case _ => false
    }
    InputColumn(
      input.name,
      input.columns.map(field(schema, _).name),
      if (sparse) InputFormat.Sparse else InputFormat.Dense,
      ColumnType.common(types.map(_.element)),
      shape,
      input.scale
    )
  }

  private def exampleSize(name: String, value: Any): Int = value match {
    case vector: Vector => vector.size
    case bytes: Array[Byte] => bytes.length
    case numbers: ArrayData => numbers.numElements()
    case _ => throw new InvalidDataException(s"the column '$name' is null in the first row")
  }

  private def requireSize(columns: Seq[String], size: Int, shape: Seq[Int]): Unit =
    demand(
      shape.map(_.toLong).product == size,
      s"the column '${columns.mkString(", ")}' has $size values a row, but the network's input " +
        s"has the shape ${shape.mkString("x")}, which is ${shape.map(_.toLong).product}"
    )

  private def typeText(dataType: DataType): String = dataType match {
    case own: UserDefinedType[_] => own.typeName
    case other => other.catalogString
  }

  /** `require` without its prefix: the message is for the user. */
  private def demand(fits: Boolean, message: => String): Unit =
    if (!fits) throw new IllegalArgumentException(message)
}
