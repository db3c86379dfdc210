package firesteel.data

import org.json4s._
import org.json4s.jackson.JsonMethods.{compact, render}

/** The columns of an Arrow stream, in order: each input (one Arrow column if dense, two if sparse),
  * each label, the weight if there is one, the validation indicator if there is one. No column of
  * the stream holds nulls. Its JSON is the `DataSpec` of `native/core`.
  *
  * @param inputs
  *   the network's inputs
  * @param labels
  *   the labels; none in prediction
  * @param weight
  *   the user's row-weight column, if there is one
  * @param validation
  *   which rows are held out for validation, if any are
  * @param spread
  *   how rows come to the tasks, which the `DataSpec` does not tell
  */
private[firesteel] final case class DataPlan(
    inputs: Seq[InputColumn],
    labels: Seq[LabelColumn] = Nil,
    weight: Option[String] = None,
    validation: Option[ValidationRows] = None,
    spread: SpreadRows = SpreadRows.Auto
) {

  /** The user's columns that are read, each once, in the order of their first use. */
  def columns: Seq[String] =
    (inputs.flatMap(_.columns) ++ labels.map(_.column) ++ weight ++ indicator).distinct

  /** The user's column that marks the rows held out, if there is one. */
  def indicator: Option[String] = validation.flatMap(_.column)

  /** The `DataSpec` as a JSON value. */
  def json: JObject =
    JObject(
      "inputs" -> JArray(inputs.map(_.json).toList),
      "labels" -> JArray(labels.map(_.json).toList),
      "weight" -> weight.fold[JValue](JNull)(JString(_)),
      "validation" -> validation.fold[JValue](JNothing)(_.json)
    )

  /** The `DataSpec` as JSON text. */
  def toJson: String = compact(render(json))
}

/** Which rows are held out for validation. */
private[firesteel] sealed trait ValidationRows extends Serializable {

  /** The user's column that marks them, if there is one. */
  def column: Option[String]

  /** The `ValidationSpec` as a JSON value. */
  def json: JObject
}

private[firesteel] object ValidationRows {

  /** Those that a boolean column marks.
    *
    * @param indicator
    *   the user's column
    */
  final case class Marked(indicator: String) extends ValidationRows {
    override def column: Option[String] = Some(indicator)
    override def json: JObject =
      JObject("type" -> JString("column"), "column" -> JString(indicator))
  }

  /** A share of all rows, chosen by their contents.
    *
    * @param fraction
    *   the share, between 0 and 1
    * @param seed
    *   decides which rows they are
    */
  final case class Fraction(fraction: Double, seed: Long) extends ValidationRows {
    override def column: Option[String] = None
    override def json: JObject =
      JObject(
        "type" -> JString("fraction"),
        "fraction" -> JDouble(fraction),
        "seed" -> JInt(BigInt(java.lang.Long.toUnsignedString(seed)))
      )
  }
}

/** One input of the network.
  *
  * @param name
  *   the name of the network's input
  * @param columns
  *   the user's columns: one Vector, array or binary column, or any number of numeric ones that
  *   make one row of values together
  * @param format
  *   how the rows lie in the stream
  * @param element
  *   the type of the values in the stream; a sparse input is always `F32`
  * @param shape
  *   the shape of one row, such as `Seq(784)` or `Seq(1, 28, 28)`
  * @param scale
  *   what each value is multiplied with on its way into an f32 tensor
  */
private[firesteel] final case class InputColumn(
    name: String,
    columns: Seq[String],
    format: InputFormat,
    element: ElementType,
    shape: Seq[Int],
    scale: Double
) {

  /** The number of values of a row. */
  def size: Int = shape.product

  /** The user's column or columns, as errors name them. */
  def column: String = columns.mkString(", ")

  /** The `InputSpec` as a JSON value. */
  def json: JObject =
    JObject(
      "name" -> JString(name),
      "column" -> JString(column),
      "format" -> JString(format.name),
      "element" -> JString(element.name),
      "shape" -> JArray(shape.map(n => JInt(n)).toList),
      "scale" -> JDouble(scale)
    )
}

/** How the rows of an input lie in the stream. */
private[firesteel] sealed abstract class InputFormat(val name: String) extends Serializable

private[firesteel] object InputFormat {

  /** One Arrow column: a fixed-size list of `size` values. */
  case object Dense extends InputFormat("dense")

  /** Two Arrow columns, a list of ascending Int32 indices and a list of as many Float32 values. */
  case object Sparse extends InputFormat("sparse")
}

/** The type of an input's values in the stream.
  *
  * @param name
  *   its name in JSON
  * @param width
  *   the bytes of a value
  */
private[firesteel] sealed abstract class ElementType(val name: String, val width: Int) extends Serializable

private[firesteel] object ElementType {

  /** Unsigned bytes, such as the pixels of an image: what a binary column holds. */
  case object U8 extends ElementType("u8", 1)

  /** Signed bytes, Spark's `tinyint`. */
  case object I8 extends ElementType("i8", 1)

  /** 16-bit integers, Spark's `smallint`. */
  case object I16 extends ElementType("i16", 2)

  /** 32-bit integers, such as token ids. */
  case object I32 extends ElementType("i32", 4)

  /** 64-bit integers. */
  case object I64 extends ElementType("i64", 8)

  /** 32-bit floats; what doubles and decimals narrow to. */
  case object F32 extends ElementType("f32", 4)
}

/** One label.
  *
  * @param column
  *   the user's column: numeric, or for several values a Vector or an array
  * @param kind
  *   what its values mean
  */
private[firesteel] final case class LabelColumn(column: String, kind: LabelKind) {

  /** The `LabelSpec` as a JSON value. */
  def json: JObject = JObject("column" -> JString(column), "kind" -> kind.json)
}

/** What a label's values mean. */
private[firesteel] sealed trait LabelKind extends Serializable {

  /** The numbers of a row. */
  def size: Int

  /** The `LabelKind` as a JSON value. */
  def json: JObject
}

private[firesteel] object LabelKind {

  /** A class index from 0 until `classes`.
    *
    * @param classes
    *   the number of classes
    */
  final case class Class(classes: Int) extends LabelKind {
    override def size: Int = 1
    override def json: JObject = JObject("type" -> JString("class"), "classes" -> JInt(classes))
  }

  /** Numbers to come close to.
    *
    * @param size
    *   how many a row has
    */
  final case class Values(size: Int) extends LabelKind {
    override def json: JObject = JObject("type" -> JString("values"), "size" -> JInt(size))
  }
}
